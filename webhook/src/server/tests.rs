//! The server, from outside: over real TLS on the loopback address.

mod contract;
mod crowd;
mod hostile;
mod lifetime;
pub(crate) mod support;
