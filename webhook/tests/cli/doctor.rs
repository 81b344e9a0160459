//! `natsguard doctor` where there is nobody to ask.

use std::net::TcpListener;
use std::process::Command;
use std::{env, fs, process};

#[test]
fn a_cluster_that_can_not_be_reached_is_said_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let config = env::temp_dir().join(format!("natsguard-doctor-{}", process::id()));
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- {{name: a, context: {{cluster: a, user: a}}}}\n\
         users:\n- {{name: a, user: {{}}}}\nclusters:\n- {{name: a, cluster: {{server: 'http://{address}'}}}}\n"
    );
    fs::write(&config, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_natsguard"))
        .arg("doctor")
        .env("KUBECONFIG", &config)
        .output()
        .unwrap();
    fs::remove_file(&config).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "natsguard: can't reach the apiserver: Connection refused (os error 111); see to the kubeconfig\n"
    );
}
