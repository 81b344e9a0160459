//! A way from the test to a port of a pod on any cluster: a local port, forwarded by the apiserver and the kubelet.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::space::Space;

/// An open tunnel; dropping it closes it to new connections.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens one to a port of a pod.
    pub async fn open(space: &Space, pod: &str, port: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (pods, pod) = (space.api::<Pod>(), pod.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (pods, pod) = (pods.clone(), pod.clone());
                tokio::spawn(async move {
                    let mut forwarder = pods.portforward(&pod, &[port]).await?;
                    let mut far = forwarder
                        .take_stream(port)
                        .context("the port was asked for")?;
                    tokio::io::copy_bidirectional(&mut near, &mut far).await?;
                    anyhow::Ok(())
                });
            }
        });
        Ok(Self { address, task })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}
