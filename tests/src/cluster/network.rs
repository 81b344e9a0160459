//! The network of the cluster: a bridge on the machine, and for each node a network namespace with a subnet of pods.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::command::{Stop, run, words};

/// The machine's address on the bridge; the control plane listens there.
pub(crate) const HOST: &str = "172.30.0.1";
/// Where Services get their addresses.
pub(crate) const SERVICES: &str = "10.96.0.0/16";
/// The cluster's DNS server (`tests/cluster/addons.yaml`).
pub(crate) const DNS: &str = "10.96.0.10";
/// Where pods get their addresses.
pub(crate) const PODS: &str = "10.244.0.0/16";
const BRIDGE: &str = "natsguard0";

/// The address of a node, numbered from 1.
pub(crate) fn address(node: usize) -> String {
    format!("172.30.0.{}", node + 10)
}

/// The subnet of a node's pods.
pub(crate) fn pod_subnet(node: usize) -> String {
    format!("10.244.{node}.0/24")
}

/// The network namespace of a node, as a file.
pub(crate) fn namespace_file(node: usize) -> PathBuf {
    PathBuf::from("/run/netns").join(namespace(node))
}

fn namespace(node: usize) -> String {
    format!("natsguard-node{node}")
}

/// The node's end of its link, on the machine.
pub(crate) fn link(node: usize) -> String {
    format!("natsguard-n{node}")
}

/// Lays the network out.
pub(crate) fn make(stop: &Stop, nodes: usize) -> Result<()> {
    let taken = run(stop, &mut words("ip -4 -o route show"))?;
    if let Some(route) = taken
        .lines()
        .find(|route| route.starts_with("172.30.0.") || route.starts_with("10.244."))
    {
        bail!("this machine uses the cluster's addresses already: {route}");
    }
    let ip = |line: String| run(stop, &mut words(&format!("ip {line}")));
    ip(format!("link add {BRIDGE} type bridge"))?;
    ip(format!("addr add {HOST}/24 dev {BRIDGE}"))?;
    ip(format!("link set {BRIDGE} up"))?;
    for node in 1..=nodes {
        let (name, link, own) = (namespace(node), link(node), address(node));
        ip(format!("netns add {name}"))?;
        ip(format!(
            "link add {link} type veth peer name eth0 netns {name}"
        ))?;
        ip(format!("link set {link} master {BRIDGE} up"))?;
        ip(format!("-n {name} addr add {own}/24 dev eth0"))?;
        ip(format!("-n {name} link set lo up"))?;
        ip(format!("-n {name} link set eth0 up"))?;
        ip(format!("-n {name} route add default via {HOST}"))?;
        run(
            stop,
            &mut words(&format!(
                "ip netns exec {name} sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1"
            )),
        )?;
        ip(format!("route add {} via {own}", pod_subnet(node)))?;
        for other in (1..=nodes).filter(|other| *other != node) {
            ip(format!(
                "-n {name} route add {} via {}",
                pod_subnet(other),
                address(other)
            ))?;
        }
    }
    Ok(())
}

/// Cuts a node off, or connects it again.
pub(crate) fn set_link(node: usize, up: bool) -> Result<()> {
    let state = if up { "up" } else { "down" };
    run(
        &Stop::default(),
        &mut words(&format!("ip link set {} {state}", link(node))),
    )
    .map(drop)
}

/// The namespaces and links that are there.
pub(crate) fn leftovers() -> Result<Vec<String>> {
    let stop = Stop::default();
    let links = run(&stop, &mut words("ip -o link show"))?;
    let links = links
        .lines()
        .filter_map(|line| line.split(": ").nth(1))
        .filter(|name| name.starts_with("natsguard"))
        .map(|name| format!("link {}", name.split('@').next().unwrap_or(name)));
    let namespaces = std::fs::read_dir("/run/netns").into_iter().flatten();
    let namespaces = namespaces
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("natsguard-"))
        .map(|name| format!("netns {name}"));
    Ok(namespaces.chain(links).collect())
}

/// Removes what is there.
pub(crate) fn remove() -> Result<()> {
    let stop = Stop::default();
    for thing in leftovers()? {
        let line = match thing.split_once(' ') {
            Some(("netns", name)) => format!("ip netns del {name}"),
            Some((_, name)) => format!("ip link del {name}"),
            None => continue,
        };
        // A link goes with the namespace of its other end.
        if let Err(error) = run(&stop, &mut words(&line))
            && leftovers()?.contains(&thing)
        {
            return Err(error).context(format!("{thing} can't be removed"));
        }
    }
    Ok(())
}
