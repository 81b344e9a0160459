//! What may be shown of a container's arguments: flags of nats-server, and the values of those that take no credentials.

use std::ops::Range;

use super::{one, route};

/// Flags whose values are no credentials.
const PLAIN: &[&str] = &[
    "a",
    "addr",
    "c",
    "client_advertise",
    "cluster_advertise",
    "cluster_name",
    "config",
    "connect_retries",
    "http_port",
    "https_port",
    "js",
    "jetstream",
    "m",
    "max_file_store",
    "max_mem_store",
    "n",
    "name",
    "net",
    "no_advertise",
    "p",
    "port",
    "sd",
    "server_name",
    "store_dir",
];

/// Flags whose values are routes, or an address as in a route.
const ROUTES: &[&str] = &["cluster", "cluster_listen", "routes"];

/// Other flags that may be shown; one that nobody knows may be a password that begins with a dash.
const OTHERS: &[&str] = &[
    "D", "DV", "V", "auth", "debug", "pass", "t", "tls", "trace", "user",
];

/// The parts of one argument; `before` is the one before it.
pub(super) fn parts(text: &str, before: Option<&str>) -> Vec<Range<usize>> {
    if let Some(name) = name(text) {
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        if ![PLAIN, ROUTES, OTHERS]
            .iter()
            .any(|names| names.contains(&name))
        {
            return Vec::new();
        }
        let Some(value) = value else {
            return one(0..text.len());
        };
        let start = text.len() - value.len();
        let mut parts = one(0..start);
        parts.extend(
            of_value(name, value)
                .into_iter()
                .map(|part| start + part.start..start + part.end),
        );
        return parts;
    }
    match before.and_then(name) {
        Some(name) => of_value(name, text),
        // The program, which nothing introduces.
        None if before.is_none() && text.ends_with("nats-server") => one(0..text.len()),
        None => Vec::new(),
    }
}

/// What stands after the dashes of a flag.
fn name(text: &str) -> Option<&str> {
    text.strip_prefix("--").or_else(|| text.strip_prefix('-'))
}

fn of_value(name: &str, value: &str) -> Vec<Range<usize>> {
    if PLAIN.contains(&name) && !value.contains('@') {
        return one(0..value.len());
    }
    if !ROUTES.contains(&name) {
        return Vec::new();
    }
    // A comma in a password divides it: then nothing but the last address is certain.
    let words: Vec<&str> = value.split(',').collect();
    if words
        .iter()
        .any(|word| word.contains('@') && !word.contains("://"))
    {
        return route::parts(value);
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for word in words {
        parts.extend(
            route::parts(word)
                .into_iter()
                .map(|part| start + part.start..start + part.end),
        );
        start += word.len();
        if start < value.len() {
            parts.push(start..start + 1);
        }
        start += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, before: Option<&str>) -> String {
        let mut out = String::new();
        let mut at = 0;
        for part in parts(text, before) {
            if part.start > at {
                out.push_str("***");
            }
            out.push_str(&text[part.clone()]);
            at = part.end;
        }
        if at < text.len() {
            out.push_str("***");
        }
        out
    }

    #[test]
    fn of_flags_the_names_and_plain_values_are_shown() {
        assert_eq!(shown("-c", None), "-c");
        assert_eq!(shown("/etc/nats.conf", Some("-c")), "/etc/nats.conf");
        assert_eq!(shown("--port=4222", Some("-c")), "--port=4222");
        assert_eq!(shown("/nats-server", None), "/nats-server");
        assert_eq!(shown("--pass=x", None), "--pass=***");
        assert_eq!(shown("x", Some("--pass")), "***");
        assert_eq!(shown("x", Some("y")), "***");
        assert_eq!(shown("-hunter2", Some("--pass")), "***");
        assert_eq!(shown("nats-server --pass x", None), "***");
    }

    #[test]
    fn of_routes_the_addresses_are_shown() {
        assert_eq!(
            shown("--routes=nats://a:b@h:1,nats://i:2,nats://c@j:3", None),
            "--routes=nats://***@h:1,nats://i:2,nats://***@j:3"
        );
        assert_eq!(shown("nats://a:b@h:1", Some("-routes")), "nats://***@h:1");
        assert_eq!(
            shown("--routes=nats://a:1,2@h:1", None),
            "--routes=nats://***@h:1"
        );
    }
}
