//! `natsguard conf`.

use serde_json::{Value, json};

use crate::support::{Folder, run, run_with};

fn lines(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn values_are_printed_as_the_server_reads_them() {
    let input = "port: 4222\nmax: 1Gi\nlame_duck: 30s\non: yes\nwhen: 2026-01-02T03:04:05Z\nA = 7\nb: $A\nlist [1 , 2.5\n x]\n";
    let run = run_with(&["conf", "-"], input);
    assert_eq!(run.status, 0);
    assert_eq!(
        lines(&run.out),
        [json!({"file": "<stdin>", "values": {
            "port": 4222, "max": 1_073_741_824, "lame_duck": "30s", "on": true,
            "when": {"datetime": "2026-01-02T03:04:05Z"}, "A": 7, "b": 7, "list": [1, 2.5, "x"]
        }})]
    );
}

#[test]
fn what_the_environment_would_say_is_named() {
    let run = run_with(&["conf", "-"], "a: $B\nc { d: $A, e: $B }\n");
    assert_eq!(run.status, 0);
    assert_eq!(
        lines(&run.out),
        [
            json!({"file": "<stdin>", "values": {"a": null, "c": {"d": null, "e": null}}, "unresolved": ["A", "B"]})
        ]
    );
}

#[test]
fn files_are_answered_in_order_and_includes_are_followed() {
    let folder = Folder::new();
    folder.write("sub/more.conf", "x: 1\ninclude 'deep.conf'\n");
    folder.write("sub/deep.conf", "y: 2\n");
    let good = folder.write("good.conf", "include ./sub/more.conf\n");
    let bad = folder.write("bad.conf", "a: 1\nroutes [a b]\n");
    let missing = folder.write("missing.conf", "include ./gone.conf\n");
    let run = run(&["conf", &bad, &good, &missing, "nowhere.conf"]);
    assert_eq!(run.status, 2);
    let lines = lines(&run.out);
    assert_eq!(lines[0]["error"]["line"], 2);
    assert_eq!(lines[0]["error"]["column"], 11);
    assert_eq!(lines[1], json!({"file": good, "values": {"x": 1, "y": 2}}));
    assert_eq!(lines[2]["error"]["line"], 1);
    assert!(
        lines[3]["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("the file can't be read: ")
    );
}
