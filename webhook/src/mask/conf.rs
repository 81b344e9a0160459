//! What may be shown of a nats.conf: how it is laid out, the addresses of its routes, and options that hold no credentials.

use std::ops::Range;

use natsguard_policies::conf::{Document, Token, TokenKind};

use super::{one, route};

/// Blocks whose plain options may be shown.
const BLOCKS: &[&str] = &[
    "cluster",
    "gateway",
    "jetstream",
    "leafnodes",
    "mqtt",
    "websocket",
];

/// Options whose values are no credentials.
const OPTIONS: &[&str] = &[
    "advertise",
    "client_advertise",
    "cluster_advertise",
    "connect_retries",
    "debug",
    "domain",
    "enabled",
    "host",
    "http",
    "http_port",
    "lame_duck_duration",
    "lame_duck_grace_period",
    "listen",
    "max_connections",
    "max_file",
    "max_file_store",
    "max_mem",
    "max_memory_store",
    "max_payload",
    "max_pending",
    "monitor_port",
    "name",
    "net",
    "no_advertise",
    "ping_interval",
    "ping_max",
    "pool_size",
    "port",
    "server_name",
    "store_dir",
    "sync_interval",
    "trace",
    "write_deadline",
];

/// Other keys that may be shown; a key that is not known may be a value that was taken for one.
const KEYS: &[&str] = &[
    "accounts",
    "authorization",
    "ca_file",
    "cert_file",
    "encryption_key",
    "insecure",
    "key_file",
    "nkey",
    "password",
    "permissions",
    "resolver",
    "routes",
    "system_account",
    "timeout",
    "tls",
    "token",
    "user",
    "users",
    "verify",
];

/// The parts of a file; none of a file that nats-server could not read, because nobody knows what is what in it.
pub(super) fn parts(text: &str) -> Vec<Range<usize>> {
    let document = Document::parse(text.as_bytes());
    if document.error().is_some() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut at = At::default();
    for token in document.tokens() {
        let written = text.get(token.range()).unwrap_or_default();
        at.enter(token, written);
        parts.extend(at.shown(token, written));
    }
    parts
}

/// Where in the file a token stands.
#[derive(Default)]
struct At {
    /// The keys of the maps and arrays around it; empty for a map in an array.
    around: Vec<String>,
    key: String,
}

impl At {
    fn enter(&mut self, token: &Token, written: &str) {
        match token.kind() {
            TokenKind::Key | TokenKind::QuotedKey => {
                self.key = written.trim_matches(['"', '\'']).to_ascii_lowercase();
            }
            TokenKind::MapOpen | TokenKind::ArrayOpen => {
                self.around.push(std::mem::take(&mut self.key));
            }
            TokenKind::MapClose | TokenKind::ArrayClose => {
                self.around.pop();
                self.key.clear();
            }
            _ => {}
        }
    }

    fn shown(&self, token: &Token, written: &str) -> Vec<Range<usize>> {
        let whole = || one(token.range());
        match token.kind() {
            TokenKind::Whitespace
            | TokenKind::Comma
            | TokenKind::Semicolon
            | TokenKind::BlockOpen
            | TokenKind::BlockClose
            | TokenKind::MapOpen
            | TokenKind::MapClose
            | TokenKind::ArrayOpen
            | TokenKind::ArrayClose
            | TokenKind::KeySeparator
            | TokenKind::Include => whole(),
            TokenKind::Key | TokenKind::QuotedKey => {
                let key = self.key.as_str();
                let is_known = [BLOCKS, OPTIONS, KEYS]
                    .iter()
                    .any(|keys| keys.contains(&key));
                if is_known { whole() } else { Vec::new() }
            }
            TokenKind::Bool
            | TokenKind::Integer
            | TokenKind::Float
            | TokenKind::BareString
            | TokenKind::SingleQuoted
            | TokenKind::DoubleQuoted => self.value(token, written),
            _ => Vec::new(),
        }
    }

    fn value(&self, token: &Token, written: &str) -> Vec<Range<usize>> {
        let around: Vec<&str> = self.around.iter().map(String::as_str).collect();
        if around == ["cluster", "routes"] {
            let start = token.start();
            let parts = route::parts(written).into_iter();
            return parts
                .map(|part| start + part.start..start + part.end)
                .collect();
        }
        let is_plain = around.iter().all(|block| BLOCKS.contains(block))
            && OPTIONS.contains(&self.key.as_str())
            && !written.contains('@');
        if is_plain {
            one(token.range())
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut out = String::new();
        let mut at = 0;
        for part in parts(text) {
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
    fn the_layout_and_plain_options_are_shown() {
        assert_eq!(
            shown("port: 4222 # x\ncluster { name: a, port: 6222 }\n"),
            "port: 4222 ***\ncluster { name: a, port: 6222 }\n"
        );
    }

    #[test]
    fn of_routes_the_addresses_are_shown() {
        assert_eq!(
            shown("cluster { routes: [nats://a:b@h:1, \"tls://c@i:2\", 'nats://j:3'] }"),
            "cluster { routes: [nats://***@h:1, \"tls://***@i:2\", 'nats://j:3'] }"
        );
        assert_eq!(
            shown("leafnodes { routes: [nats://h:1] }"),
            "leafnodes { routes: [***] }"
        );
    }

    #[test]
    fn values_of_other_keys_and_the_keys_nobody_knows_are_hidden() {
        assert_eq!(
            shown("authorization { user: a, password: \"b\", port: 1, token c }\nX: d\nY = $X"),
            "authorization { user: ***, password: ***, port: ***, token *** }\n***: ***\n*** = ***"
        );
        assert_eq!(
            shown("accounts { A { users [ { user: a, password: b } ] } }"),
            "accounts { *** { users [ { user: ***, password: *** } ] } }"
        );
        assert_eq!(
            shown("listen: \"a:b@c\"\nlog (\nx\n)"),
            "listen: ***\n*** ***"
        );
    }

    #[test]
    fn nothing_is_shown_of_a_file_with_an_error() {
        assert_eq!(shown("port: 4222\npassword: \"b\nc {"), "***");
    }
}
