//! What the operator sees: metrics, logs and traces. None ever holds an object, a user or a credential.

pub mod log;
pub mod metrics;
mod process;
pub mod traces;
