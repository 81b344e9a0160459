//! Certificates that someone else keeps: files, read again when their content changes.
//!
//! The kubelet changes a mounted Secret by swapping a symbolic link above the file, which no watch on the file sees. So the
//! content is compared. Certificate and key may be read around the swap and not fit; then the next look finds both new.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::CERTIFICATE;
use super::pair::Pair;
use super::served::Served;
use super::{Seconds, now};
use crate::server::lifecycle::Lifecycle;
use crate::server::tls::Tls;
use crate::telemetry::metrics::Metrics;

/// How often files are looked at.
pub const POLL: Duration = Duration::from_secs(5);

/// A certificate and its key in files.
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
    served: Arc<Served>,
    lifecycle: Arc<Lifecycle>,
    metrics: Arc<Metrics>,
    seen: Option<(Vec<u8>, Vec<u8>)>,
    expires: Option<Seconds>,
    problem: Problem,
}

/// What is wrong, told when it is new.
#[derive(Default)]
struct Problem(Option<String>);

impl Problem {
    /// Whether this is another problem than the last one.
    fn is_new(&mut self, problem: &str) -> bool {
        let is_new = self.0.as_deref() != Some(problem);
        self.0 = Some(problem.to_owned());
        is_new
    }

    fn ends(&mut self) {
        self.0 = None;
    }
}

impl Files {
    /// Nothing is read yet.
    pub fn new(
        certificate: PathBuf,
        key: PathBuf,
        served: Arc<Served>,
        lifecycle: Arc<Lifecycle>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            certificate,
            key,
            served,
            lifecycle,
            metrics,
            seen: None,
            expires: None,
            problem: Problem::default(),
        }
    }

    /// Keeps looking until dropped.
    pub async fn run(mut self) {
        loop {
            self.look();
            sleep(POLL).await;
        }
    }

    pub(super) fn look(&mut self) {
        match (read(&self.certificate), read(&self.key)) {
            (Ok(certificate), Ok(key)) => {
                self.problem.ends();
                self.take(certificate, key);
            }
            (Err(problem), _) | (_, Err(problem)) => self.complain(&problem),
        }
        let valid = self.expires.is_some_and(|expires| expires > now());
        self.lifecycle.note(CERTIFICATE, valid);
    }

    fn take(&mut self, certificate: Vec<u8>, key: Vec<u8>) {
        let found = Some((certificate, key));
        if found == self.seen {
            return;
        }
        let read = found
            .as_ref()
            .map(|(certificate, key)| Pair::read(certificate, key));
        match read {
            Some(Ok(pair)) => {
                self.metrics.certificate("serving", pair.expires);
                tracing::info!(expires = pair.expires, "serving a new certificate");
                self.expires = Some(pair.expires);
                self.served.put(pair.key);
            }
            Some(Err(error)) => {
                let (certificate, key) = (self.certificate.display(), self.key.display());
                self.complain(&format!("{certificate} and {key}: {error}"));
            }
            None => {}
        }
        self.seen = found;
    }

    fn complain(&mut self, problem: &str) {
        self.metrics.certificate_error();
        if self.problem.is_new(problem) {
            tracing::warn!(problem, "certificates: the former stays");
        }
    }
}

/// Takes a changed client CA over, until dropped.
pub async fn follow_client_ca(path: PathBuf, mut seen: Vec<u8>, tls: Arc<Tls>) {
    let mut told = Problem::default();
    loop {
        sleep(POLL).await;
        let read = read(&path);
        if read.is_ok() {
            told.ends();
        }
        let problem = match read {
            Ok(found) if found == seen => continue,
            Ok(found) => {
                let taken = tls.trust(&found);
                seen = found;
                match taken {
                    Ok(()) => {
                        tracing::info!("took another client CA");
                        continue;
                    }
                    Err(error) => format!("{}: {error}", path.display()),
                }
            }
            Err(problem) => problem,
        };
        if told.is_new(&problem) {
            tracing::warn!(problem, "client CA: the former stays");
        }
    }
}

/// Reads a small file; the problem names it.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("can't read {}: {error}", path.display()))
}
