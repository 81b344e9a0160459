//! The certificate that is served, and who trusts it.
//!
//! `self`: a CA in a Secret, a certificate of each replica's own in its memory, the bundle written into the webhook
//! configurations. Otherwise: files that someone else keeps, read again when their content changes.

pub mod authority;
pub mod bundles;
pub mod ca;
pub mod files;
pub mod keeper;
pub mod leaf;
pub mod pair;
pub mod secret;
pub mod served;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What readiness says while there is no certificate.
pub const CERTIFICATE: &str = "no valid certificate yet";
/// What readiness says while the apiserver would not trust the certificate.
pub const BUNDLE: &str = "the CA bundle is not in the webhook configurations yet";

/// Seconds since 1970, as certificates count.
pub type Seconds = i64;

/// Now, in seconds since 1970.
pub fn now() -> Seconds {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, seconds)
}

/// A duration in whole seconds.
pub fn seconds(duration: Duration) -> Seconds {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
