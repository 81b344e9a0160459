//! Reads a body within a limit, a shared budget and a time.

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::budget::{Budget, Held};
use super::limits::Limits;
use super::refusal::Refusal;

/// What a value of the JSON tree takes at most: an entry of a map, with its key. Two bytes of a body may be one value, so a
/// small body can make a large tree.
const VALUE_BYTES: usize = 128;

/// The bytes of a body, and the memory they hold.
#[derive(Debug)]
pub(super) struct Bytes {
    pub(super) bytes: Vec<u8>,
    held: Held,
}

pub(super) async fn read(
    mut body: Body,
    limits: &Limits,
    budget: &Budget,
    began: Instant,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    let deadline = deadline.min(began + limits.body);
    let held = budget.hold();
    let (unwanted, waits) = (held.unwanted(), held.waits());
    let collected = tokio::select! {
        collected = timeout_at(deadline, collect(&mut body, held, limits)) => {
            // Whoever waits for the memory of others has not sent too slowly.
            collected.unwrap_or_else(|_| Err(if waits() {
                Refusal::Full
            } else {
                Refusal::SlowBody {
                    within: deadline - began,
                }
            }))
        }
        () = unwanted => Err(Refusal::Full),
    };
    if matches!(collected, Err(Refusal::TooLarge { .. } | Refusal::Full)) {
        // A caller that is still writing when the connection closes sees a broken pipe instead of the answer.
        let _ = timeout(limits.linger, async {
            while let Some(Ok(_)) = body.frame().await {}
        })
        .await;
    }
    collected
}

/// Makes room for what the tree of the JSON may take.
async fn weigh(mut body: Bytes, limits: &Limits) -> Result<Bytes, Refusal> {
    let values = body
        .bytes
        .iter()
        .filter(|byte| matches!(byte, b',' | b'[' | b'{'))
        .count();
    let weight = body
        .bytes
        .capacity()
        .saturating_add(values.saturating_mul(VALUE_BYTES));
    if weight > limits.memory_bytes {
        return Err(Refusal::TooDense { values });
    }
    if !body.held.grow(weight).await {
        return Err(Refusal::Full);
    }
    body.held.arrived();
    Ok(body)
}

async fn collect(body: &mut Body, mut held: Held, limits: &Limits) -> Result<Bytes, Refusal> {
    let limit = limits.body_bytes;
    let too_large = Refusal::TooLarge { limit };
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large);
    }
    // The declared length reserves nothing: who has sent nothing holds nothing.
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BrokenBody)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = bytes.len() + data.len();
        if length > limit {
            return Err(too_large);
        }
        if length > bytes.capacity() {
            let capacity = length.max(bytes.capacity() * 2).min(limit);
            if !held.grow(capacity).await {
                return Err(Refusal::Full);
            }
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(&data);
        held.moved();
    }
    weigh(Bytes { bytes, held }, limits).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_waited_for_memory_was_not_slow() {
        let (limits, budget) = (Limits::default(), Budget::new(4 << 10));
        let mut other = budget.hold();
        assert!(other.grow(4 << 10).await);
        sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        let deadline = began + Duration::from_millis(200);
        let refused = |body| read(body, &limits, &budget, began, deadline);
        assert_eq!(
            refused(Body::from(vec![b' '; 2048])).await.err(),
            Some(Refusal::Full)
        );
        assert!(Instant::now() >= deadline, "it waited");
    }
}
