//! What the processes that run in a cluster have in common: how they start, listen, and are told to end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::server::lifecycle::Lifecycle;
use crate::server::signals::Signals;

/// Told twice to end.
pub(super) const CUT_SHORT: u8 = 1;

/// Two workers: one long piece of work never keeps the probes, or the Lease, waiting. More would only cost memory.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
}

/// Takes charge of the signals, and names the one provider of cryptography.
pub(super) fn prepare() -> Result<Signals, String> {
    // Another crate may have been first, with the same provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Signals::new().map_err(|error| format!("can't handle signals: {error}"))
}

/// Begins the end when the process is told to, and comes back when it is told again. `ending` says what it does meanwhile.
pub(super) async fn told(mut signals: Signals, lifecycle: &Lifecycle, ending: &str) -> u8 {
    signals.next().await;
    tracing::info!("told to end; {ending}");
    lifecycle.drain();
    signals.next().await;
    tracing::warn!("told again; ending at once");
    CUT_SHORT
}

/// `[::]` stands for every address. Where the kernel knows no IPv6, that is every IPv4 address.
pub(super) async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    let bound = match TcpListener::bind(address).await {
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    };
    bound.map_err(|error| format!("can't listen on {address}: {error}; choose another with {flag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_named_with_its_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let problem = bind(address, "--listen").await.unwrap_err();
        assert!(
            problem.starts_with(&format!("can't listen on {address}: "))
                && problem.ends_with("; choose another with --listen"),
            "{problem}"
        );
    }
}
