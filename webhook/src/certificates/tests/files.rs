//! Files as the kubelet mounts them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};

use crate::certificates::CERTIFICATE;
use crate::certificates::files::Files;
use crate::certificates::served::Served;
use crate::server::lifecycle::Lifecycle;
use crate::telemetry::metrics::Metrics;

/// A volume: `tls.crt` → `..data/tls.crt`, `..data` → `..<generation>`.
struct Mount(PathBuf);

impl Mount {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("natsguard-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), path.join(file)).unwrap();
        }
        Self(path)
    }

    fn swap(&self, generation: u32, certificate: &str, key: &str) {
        let folder = self.0.join(format!("..{generation}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("tls.crt"), certificate).unwrap();
        fs::write(folder.join("tls.key"), key).unwrap();
        let link = self.0.join("..data_tmp");
        symlink(format!("..{generation}"), &link).unwrap();
        fs::rename(link, self.0.join("..data")).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["natsguard.natsguard.svc".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_swapped_mount_is_taken_over_and_a_bad_one_is_not() {
    let mount = Mount::new("files");
    let served = Arc::new(Served::default());
    let lifecycle = Arc::new(Lifecycle::new(&[CERTIFICATE]));
    let mut files = Files::new(
        mount.0.join("tls.crt"),
        mount.0.join("tls.key"),
        Arc::clone(&served),
        Arc::clone(&lifecycle),
        Metrics::new(),
    );
    let now = || served.current().map(|key| key.cert[0].clone());
    files.look();
    assert_eq!(now(), None);
    assert_eq!(lifecycle.missing(), [CERTIFICATE]);

    let (first, second) = (pair(), pair());
    mount.swap(1, &first.0, &first.1);
    files.look();
    let one = now().unwrap();
    assert!(lifecycle.missing().is_empty());

    mount.swap(2, &second.0, &first.1);
    files.look();
    assert_eq!(now().unwrap(), one, "a key of another certificate");
    mount.swap(3, "nonsense", "nonsense");
    files.look();
    assert_eq!(now().unwrap(), one);
    assert!(lifecycle.missing().is_empty());

    mount.swap(4, &second.0, &second.1);
    files.look();
    assert_ne!(now().unwrap(), one);
}

#[test]
fn files_that_can_not_be_read_are_told_once() {
    let mount = Mount::new("files-told");
    let log = mount.0.join("log");
    let writer = std::sync::Mutex::new(fs::File::create(&log).unwrap());
    let metrics = Metrics::new();
    let mut files = Files::new(
        mount.0.join("tls.crt"),
        mount.0.join("tls.key"),
        Arc::new(Served::default()),
        Arc::new(Lifecycle::new(&[CERTIFICATE])),
        Arc::clone(&metrics),
    );
    let lines = || fs::read_to_string(&log).unwrap().matches("WARN").count();
    let subscriber = tracing_subscriber::fmt().with_writer(writer).finish();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..3 {
            files.look();
        }
        assert_eq!(lines(), 1);
        let (certificate, key) = pair();
        mount.swap(1, &certificate, &key);
        files.look();
        assert_eq!(lines(), 1);
        fs::remove_file(mount.0.join("..data")).unwrap();
        for _ in 0..3 {
            files.look();
        }
        assert_eq!(lines(), 2, "another spell");
    });
    let text = metrics.text();
    assert!(text.contains("natsguard_certificate_errors_total 6\n"));
}
