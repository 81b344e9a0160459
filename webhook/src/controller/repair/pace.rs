//! At most so many writes a second, in all.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Gives turns at a rate; after a second of rest a second's worth of them at once.
#[derive(Debug)]
pub(in crate::controller) struct Pace {
    interval: Duration,
    burst: Duration,
    /// When the next turn would be, had none been given ahead of its time.
    next: Mutex<Instant>,
}

impl Pace {
    pub(in crate::controller) fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        let interval = Duration::from_secs(1) / per_second;
        Self {
            interval,
            burst: interval * (per_second - 1),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for a turn. Turns are given in the order in which they were asked for.
    pub(in crate::controller) async fn turn(&self) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.interval;
            turn
        };
        let early = at.checked_sub(self.burst).unwrap_or(at);
        sleep_until(early).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_turns_a_second_and_no_more() {
        let (pace, began) = (Pace::new(5), Instant::now());
        let mut turns = Vec::new();
        for _ in 0..12 {
            pace.turn().await;
            turns.push(began.elapsed().as_millis() / 100);
        }
        assert_eq!(turns, [0, 0, 0, 0, 0, 2, 4, 6, 8, 10, 12, 14]);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let rested = Instant::now();
        for _ in 0..5 {
            pace.turn().await;
        }
        assert_eq!(rested.elapsed(), Duration::ZERO);
        pace.turn().await;
        assert!(rested.elapsed() >= Duration::from_millis(199));
    }
}
