//! Tests across the crate.

mod conf;
mod properties;
mod purity;
mod registry;
mod routes;
mod store;
mod support;
