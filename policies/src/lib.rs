//! The rules of natsguard: what is wrong with a NATS deployment on Kubernetes, and how to mend it.
//!
//! Data flows one way. Raw objects are held in a [`bundle::Bundle`]; [`workload::discover`] reads the NATS workloads out
//! of it; each policy of [`rules::POLICIES`] is one function from a workload to findings, every fix inside its finding;
//! [`engine::evaluate`] makes a report of them and [`engine::repair`] makes the repairs.
//!
//! Invariants:
//! - The crate is pure: no I/O, no async, no clock, no environment, no randomness, no panics. Same input, same output.
//! - There is one evaluation. `/mutate`, `/validate`, `check`, `fix`, `scan` and the controller all call it.
//! - No finding, no edit. Repairing twice changes nothing.
//! - Unknown is never guessed: an object that is not in the bundle may exist.
//! - Bytes that an edit does not name stay as they are.
//! - No text of a finding holds credentials.

#![deny(clippy::disallowed_methods)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod bundle;
pub mod certificate;
pub mod conf;
pub mod context;
pub mod engine;
mod json;
mod memory;
mod nodes;
pub mod patch;
pub mod policy;
pub mod routes;
pub mod rules;
pub mod selector;
pub mod settings;
pub mod storage;
pub mod workload;
