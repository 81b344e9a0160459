//! What may be shown of a route: all but what stands before an `@`, where the rest looks like an address.

use std::ops::Range;

/// The parts of one route, quotes around it included.
pub(super) fn parts(text: &str) -> Vec<Range<usize>> {
    let scheme = text
        .find("://")
        .filter(|end| {
            let scheme = text.get(..*end).unwrap_or_default();
            let scheme = scheme.trim_start_matches(['"', '\'']);
            scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
        })
        .map_or(0, |end| end + "://".len());
    // The last `@` ends the credentials, even where one of them holds what should have been escaped.
    let (shown, rest) = match text.rfind('@') {
        Some(at) => (0..scheme.min(at), at..text.len()),
        None => (0..0, 0..text.len()),
    };
    let address = text.get(rest.start.max(scheme)..).unwrap_or_default();
    let address = address
        .trim_start_matches(['@', '"', '\''])
        .trim_end_matches(['"', '\'']);
    let mut parts = vec![shown];
    if is_address(address) {
        parts.push(rest);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Whether this is a host with or without a port, and not a credential that lost its `@`.
fn is_address(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte);
    !host.is_empty() && host.bytes().all(is_host) && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let parts: Vec<&str> = parts(text).into_iter().map(|part| &text[part]).collect();
        parts.join("***")
    }

    #[test]
    fn what_stands_before_the_last_at_sign_is_hidden() {
        assert_eq!(shown("nats://a:b@h:1"), "nats://***@h:1");
        assert_eq!(shown("\"nats://a:b@h:1\""), "\"nats://***@h:1\"");
        assert_eq!(shown("nats://u:p@x@h:1"), "nats://***@h:1");
        assert_eq!(shown("nats://u:a,b'c/d#e f://@h:1"), "nats://***@h:1");
        assert_eq!(shown("u:p@h:1"), "@h:1");
        assert_eq!(shown("u:p@x://h:1"), "");
    }

    #[test]
    fn what_is_no_address_is_hidden() {
        assert_eq!(shown("nats://nats-0.nats:6222"), "nats://nats-0.nats:6222");
        assert_eq!(shown("'tls://[::1]:6222'"), "'tls://[::1]:6222'");
        assert_eq!(shown("nats://[::1]"), "nats://[::1]");
        assert_eq!(shown("nats://a:hunter2"), "");
        assert_eq!(shown("nats://a:b@h:1/hunter2"), "nats://");
        assert_eq!(shown("hunter2!"), "");
        assert_eq!(shown(""), "");
    }
}
