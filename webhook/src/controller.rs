//! The controller: looks after the NATS workloads that run.

pub mod repair;
pub mod scan;
