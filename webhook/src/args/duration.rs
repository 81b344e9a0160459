//! Durations as they are written on a command line: `250ms`, `90s`, `5m`, `12h`, `365d`.

use std::time::Duration;

const MILLI: u64 = 1;
const SECOND: u64 = 1000 * MILLI;
const UNITS: [(&str, u64); 5] = [
    ("ms", MILLI),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
    ("d", 86_400 * SECOND),
];

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, millis)| number.parse::<u64>().ok()?.checked_mul(*millis))
        .map(Duration::from_millis)
        .ok_or_else(|| "write a number and one of ms, s, m, h, d, as in 90s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("365d"), Ok(Duration::from_hours(365 * 24)));
        for text in ["", "90", "s", "1.5s", "-1s", "99999999999999999999d", "1y"] {
            assert_eq!(
                duration(text).unwrap_err(),
                "write a number and one of ms, s, m, h, d, as in 90s",
                "{text}"
            );
        }
    }
}
