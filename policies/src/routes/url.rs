//! One route as text: `nats://user:password@host:port`, read without judging it.

/// The parts of a route, each byte for byte as it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// `nats`, `nats-route`, `tls`; `None` when there is no `://`.
    pub scheme: Option<&'a str>,
    /// What stands before the `@`. Never printed.
    pub userinfo: Option<&'a str>,
    /// Host name or address, without the brackets of IPv6.
    pub host: &'a str,
    /// What stands after the last colon of the host.
    pub port: Option<&'a str>,
}

impl<'a> Route<'a> {
    /// Reads a route. Anything has a reading; a word without `://` is a bare host.
    pub fn parse(text: &'a str) -> Self {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, text.trim_start_matches('/')),
        };
        // The last `@` ends the credentials, even where one of them holds what should have been escaped.
        let (userinfo, rest) = match rest.rsplit_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let address = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match address
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match address.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        Self {
            scheme,
            userinfo,
            host,
            port: port.filter(|port| !port.is_empty()),
        }
    }

    /// The same route to another host and port.
    pub fn to(&self, host: &str, port: &str) -> String {
        let scheme = self.scheme.unwrap_or("nats");
        match self.userinfo {
            Some(userinfo) => format!("{scheme}://{userinfo}@{host}:{port}"),
            None => format!("{scheme}://{host}:{port}"),
        }
    }

    /// The route as it may be shown: without credentials.
    pub fn shown(&self) -> String {
        let scheme = self
            .scheme
            .map(|scheme| format!("{scheme}://"))
            .unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        if self.host.contains(':') {
            format!("{scheme}[{}]{port}", self.host)
        } else {
            format!("{scheme}{}{port}", self.host)
        }
    }
}

impl std::fmt::Debug for Route<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_kept_as_written() {
        let route = Route::parse(" nats-route://u%40x:p@ss@nats-0.nats:6222 ");
        assert_eq!(route.scheme, Some("nats-route"));
        assert_eq!(route.userinfo, Some("u%40x:p@ss"));
        assert_eq!((route.host, route.port), ("nats-0.nats", Some("6222")));
        assert_eq!(route.to("h", "1"), "nats-route://u%40x:p@ss@h:1");
        assert_eq!(route.shown(), "nats-route://nats-0.nats:6222");
        assert_eq!(format!("{route:?}"), "nats-route://nats-0.nats:6222");
    }

    #[test]
    fn a_bare_host_is_read_as_one() {
        let route = Route::parse("nats:6222");
        assert_eq!(
            (route.scheme, route.host, route.port),
            (None, "nats", Some("6222"))
        );
        assert_eq!(route.to("h", "1"), "nats://h:1");
        assert_eq!(Route::parse("nats://nats").port, None);
        assert_eq!(Route::parse("nats://nats:").port, None);
        assert_eq!(Route::parse("").host, "");
    }

    #[test]
    fn an_ipv6_address_is_read_in_brackets() {
        let route = Route::parse("nats://[::1]:6222");
        assert_eq!((route.host, route.port), ("::1", Some("6222")));
        assert_eq!(route.shown(), "nats://[::1]:6222");
    }

    #[test]
    fn a_path_is_not_part_of_the_host() {
        assert_eq!(Route::parse("nats://a:1/x").host, "a");
    }

    #[test]
    fn what_should_have_been_escaped_is_never_shown() {
        assert_eq!(
            Route::parse("nats://u:p/s#x@nats:6222").shown(),
            "nats://nats:6222"
        );
    }
}
