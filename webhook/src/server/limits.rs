//! How much time, memory and company a caller gets.

use std::time::Duration;

/// Bounds of everything a caller can make the process spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a connection may stay without a request.
    ///
    /// The apiserver keeps idle connections for 90 s and doesn't repeat a POST whose connection was closed under it, so
    /// whatever is below 90 s fails admission calls now and then. It also pools connections that it dialled but never
    /// used, so the time to the first request is this one, too.
    pub idle: Duration,
    /// How long the head of a request may take once its first byte is there.
    pub head: Duration,
    /// How long the body may take.
    pub body: Duration,
    /// How long a review may take, body included, when the caller doesn't ask for less (`?timeout=5s`).
    pub review: Duration,
    /// How much earlier than the caller's deadline the answer is ready.
    pub margin: Duration,
    /// How long the caller may take to read the answer.
    pub write: Duration,
    /// How long a review waits for its turn before it is shed.
    pub queue: Duration,
    /// How long the rest of a body that is too large is read and thrown away, so that the caller reads the answer instead
    /// of failing to write.
    pub linger: Duration,
    /// How young a connection must be to be safe when all places are taken.
    pub grace: Duration,
    /// Connections at once. When all places are taken, those without a request yet go first, then the longest idle ones.
    pub connections: usize,
    /// Reviews at once.
    pub reviews: usize,
    /// Bytes of one body.
    ///
    /// An UPDATE carries the object twice. What the apiserver stores of a ConfigMap or a Secret is at most 1 MiB of data
    /// and 256 KiB of annotations, and its JSON writes `<`, `>` and `&` as six bytes: 2 × 1.25 MiB × 6 = 15 MiB, and one
    /// more for labels, managed fields and the envelope. Real reviews are under 3 MiB.
    pub body_bytes: usize,
    /// Bytes of all reviews at once: their bodies, and what the trees of their JSON may take.
    ///
    /// It leaves a pod of 128 MiB room for the process itself. One ConfigMap of 1 MiB in an UPDATE takes about 3 MiB.
    pub memory_bytes: usize,
    /// How long new connections are still accepted after SIGTERM: the time in which the rest of the cluster learns it.
    pub drain_delay: Duration,
    /// How long connections may live on after SIGTERM. It is more than the 90 s after which the apiserver drops idle ones,
    /// and less than the pod's grace period.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            idle: Duration::from_mins(3),
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            review: Duration::from_secs(10),
            margin: Duration::from_millis(250),
            write: Duration::from_secs(10),
            queue: Duration::from_millis(250),
            linger: Duration::from_secs(1),
            grace: Duration::from_secs(1),
            connections: 1024,
            reviews: 32,
            body_bytes: 16 << 20,
            memory_bytes: 64 << 20,
            drain_delay: Duration::from_secs(15),
            drain: Duration::from_secs(95),
        }
    }
}

impl Limits {
    /// For the plain port of probes and metrics: a few callers without bodies.
    #[must_use]
    pub fn plain(&self) -> Self {
        Self {
            connections: 64,
            ..self.clone()
        }
    }

    /// The time for a review: the least of what the caller asks for and what is allowed, less a margin.
    ///
    /// The apiserver rounds its timeout up to a whole second, so the margin may not eat all of a short one: half of it
    /// stays in any case.
    pub fn allowance(&self, query: Option<&str>) -> Duration {
        let asked = query.and_then(timeout).unwrap_or(self.review);
        let time = asked.min(self.review);
        time.saturating_sub(self.margin).max(time / 2)
    }
}

/// `timeout` of a query, as Go writes durations of whole seconds or milliseconds.
fn timeout(query: &str) -> Option<Duration> {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("timeout="))?;
    if let Some(millis) = value.strip_suffix("ms") {
        return millis.parse().ok().map(Duration::from_millis);
    }
    value
        .strip_suffix('s')?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_gets_the_least_time_less_a_margin() {
        let limits = Limits::default();
        for (query, millis) in [
            (None, 9750),
            (Some("timeout=5s"), 4750),
            (Some("a=b&timeout=3s"), 2750),
            (Some("timeout=30s"), 9750),
            (Some("timeout=400ms"), 200),
            (Some("timeout=0s"), 0),
            (Some("timeout=-5s"), 9750),
            (Some("timeout=99999999999999999999s"), 9750),
            (Some("timeout=soon"), 9750),
        ] {
            assert_eq!(
                limits.allowance(query),
                Duration::from_millis(millis),
                "{query:?}"
            );
        }
    }

    #[test]
    fn idle_connections_outlive_those_of_the_apiserver() {
        let limits = Limits::default();
        assert!(limits.idle >= Duration::from_mins(2));
        assert!(limits.drain > Duration::from_secs(90));
    }
}
