//! The policies, in the order in which they are reported and repaired.

pub mod co_located_replicas;
pub mod ephemeral_store;
pub mod exposed_credentials;
pub mod incomplete_routes;
pub mod literal_variable;
pub mod lone_cluster;
pub mod network_filesystem;
pub mod opaque_routes;
pub mod opaque_store;
pub mod refused_configuration;
pub mod routes_without_credentials;
pub mod service_route;
pub mod shared_store;
pub mod short_route;
pub mod stateless_cluster;
pub mod unbounded_store;
pub mod uncovered_routes;
pub mod unresolvable_peers;

use crate::policy::Policy;

/// Every policy. The order is that of the table in the README: the start, routes, peers, store, placement, the rest.
pub const POLICIES: &[Policy] = &[
    refused_configuration::POLICY,
    service_route::POLICY,
    short_route::POLICY,
    incomplete_routes::POLICY,
    routes_without_credentials::POLICY,
    uncovered_routes::POLICY,
    unresolvable_peers::POLICY,
    lone_cluster::POLICY,
    opaque_routes::POLICY,
    literal_variable::POLICY,
    stateless_cluster::POLICY,
    shared_store::POLICY,
    network_filesystem::POLICY,
    opaque_store::POLICY,
    ephemeral_store::POLICY,
    unbounded_store::POLICY,
    co_located_replicas::POLICY,
    exposed_credentials::POLICY,
];

/// The policy with an id.
pub fn find(id: &str) -> Option<&'static Policy> {
    POLICIES.iter().find(|policy| policy.id == id)
}
