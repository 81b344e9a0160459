//! What natsguard is to an apiserver, and what the apiserver's errors come to.

use kube::Error;

/// Whose fields, Events and reports these are.
pub const MANAGER: &str = "natsguard";

/// What a client's error comes to: the apiserver's own words, or the innermost cause.
pub fn words(error: &Error) -> String {
    if let Error::Api(status) = error {
        return if status.message.is_empty() {
            format!("{} {}", status.code, status.reason)
        } else {
            status.message.clone()
        };
    }
    innermost(error)
}

/// Whether the same request is refused again, as far as one can tell.
pub fn is_refused(error: &Error) -> bool {
    let passes = [401, 408, 429];
    matches!(error, Error::Api(status) if (400..500).contains(&status.code) && !passes.contains(&status.code))
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
