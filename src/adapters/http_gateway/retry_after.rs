//! `Retry-After`, without a clock: seconds as they stand, or a date less the response's own `Date`.

use std::time::Duration;

use chrono::DateTime;
use hyper::header::{DATE, HeaderMap, RETRY_AFTER};

/// `None` where there is none, or it can't be told.
pub(super) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    let now = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some((until - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn seconds_and_dates() {
        const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const LATER: &str = "Sun, 06 Nov 1994 08:50:07 GMT";
        for (given, date, expected) in [
            ("7", "", Some(7)),
            ("0", AT, Some(0)),
            (LATER, AT, Some(30)),
            (AT, LATER, Some(0)),
            (LATER, "", None),
            ("-1", AT, None),
            ("1.5", AT, None),
            ("soon", AT, None),
            ("99999999999", AT, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(given));
            if !date.is_empty() {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            assert_eq!(read(&headers), expected.map(Duration::from_secs), "{given} {date}");
        }
        assert_eq!(read(&HeaderMap::new()), None);
    }
}
