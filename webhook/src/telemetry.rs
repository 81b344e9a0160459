//! What the operator sees: metrics and logs. Neither ever holds an object, a user or a credential.

pub mod log;
pub mod metrics;
mod process;
