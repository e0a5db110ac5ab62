//! `store.url` for ClickHouse, taken apart. Pure.

use crate::ports::store::StoreError;

/// Parameters of the address that ClickHouse would take for something else than a setting, and settings that the
/// store has to choose by itself.
const REFUSED: [&str; 14] = [
    "async_insert",
    "compress",
    "database",
    "decompress",
    "default_format",
    "deduplicate_insert",
    "insert_deduplicate",
    "insert_deduplication_token",
    "password",
    "query",
    "query_id",
    "session_id",
    "user",
    "wait_for_async_insert",
];

/// `clickhouse://user:password@host:port/database?secure=true&setting=value`
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// `http://host:port` or `https://host:port`
    pub base: String,
    pub user: Option<String>,
    pub password: Option<String>,
    pub database: String,
    /// What every statement is told, as the address says it.
    pub settings: Vec<(String, String)>,
}

impl Address {
    /// The port is 8123, or 8443 with `secure=true`, where none is named; the database `default`.
    ///
    /// # Errors
    /// `Permanent`, without a password in it, where it can't be used.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let rest =
            url.strip_prefix("clickhouse://").ok_or_else(|| bad("it is no clickhouse://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (before, host) = rest.rsplit_once('@').map_or((None, rest), |(b, h)| (Some(b), h));
        let (host, database) = host.split_once('/').unwrap_or((host, ""));
        let (secure, settings) = parameters(query)?;
        let (user, password) = match before
            .map(|b| b.split_once(':').map_or((b, None), |(u, p)| (u, Some(p))))
        {
            Some((user, password)) => (Some(decoded(user)?), password.map(decoded).transpose()?),
            None => (None, None),
        };
        let port = if secure { ":8443" } else { ":8123" };
        // An address of IPv6 stands in brackets and has colons of its own.
        let named = host.rsplit_once(']').map_or(host, |(_, behind)| behind).contains(':');
        let base = format!(
            "{}://{host}{}",
            if secure { "https" } else { "http" },
            if named { "" } else { port }
        );
        if host.is_empty() || host.starts_with(':') || base.parse::<hyper::Uri>().is_err() {
            return Err(bad("it names no host"));
        }
        let database = decoded(database)?;
        let database = if database.is_empty() { "default".into() } else { database };
        Ok(Self { base, user, password, database, settings })
    }
}

fn parameters(query: &str) -> Result<(bool, Vec<(String, String)>), StoreError> {
    let mut secure = false;
    let mut settings = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (name, value) {
            ("secure", "true" | "1") => secure = true,
            ("secure", "false" | "0") => secure = false,
            ("secure", _) => return Err(bad("secure is true or false")),
            _ if REFUSED.contains(&name) => {
                return Err(bad(&format!("{name} is not to be set in the address")));
            }
            _ => settings.push((name.to_owned(), decoded(value)?)),
        }
    }
    Ok((secure, settings))
}

fn bad(why: &str) -> StoreError {
    StoreError::Permanent(format!(
        "store.url can't be used: {why}; expected clickhouse://user:password@host:8123/database"
    ))
}

/// `%41` is `A`.
fn decoded(text: &str) -> Result<String, StoreError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| bad("a % stands without two hex digits behind it"))?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| bad("it is not in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Address {
        Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let least = Address {
            base: "http://h:8123".into(),
            user: None,
            password: None,
            database: "default".into(),
            settings: Vec::new(),
        };
        assert!(parse("clickhouse://h") == least);
        assert!(parse("clickhouse://h:8123/?secure=false") == least);
        assert_eq!(parse("clickhouse://h?secure=true").base, "https://h:8443");
        assert_eq!(parse("clickhouse://h:1/?secure=1").base, "https://h:1");
        assert_eq!(parse("clickhouse://[::1]").base, "http://[::1]:8123");
        assert_eq!(parse("clickhouse://[::1]:9").base, "http://[::1]:9");
    }

    #[test]
    fn every_part_is_read() {
        let whole = parse("clickhouse://me:p%40%2f%25:x@h:9/pay?max_threads=2&insert_quorum=auto");
        assert_eq!(
            (whole.user.as_deref(), whole.password.as_deref()),
            (Some("me"), Some("p@/%:x"))
        );
        assert_eq!((whole.base.as_str(), whole.database.as_str()), ("http://h:9", "pay"));
        let settings = [("max_threads", "2"), ("insert_quorum", "auto")];
        assert_eq!(whole.settings, settings.map(|(n, v)| (n.to_owned(), v.to_owned())));
        let named = parse("clickhouse://me@h/");
        assert_eq!((named.user.as_deref(), named.password), (Some("me"), None));
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_password() {
        for url in [
            "clickhouse:h",
            "http://h",
            "clickhouse://",
            "clickhouse://u:hunter2@/db",
            "clickhouse://u:hunter2@:1/db",
            "clickhouse://u:hunter2%@h",
            "clickhouse://u:hunter2%ff@h",
            "clickhouse://u:hunter2@h h",
            "clickhouse://u:hunter2@h/?secure=perhaps",
            "clickhouse://u:hunter2@h/?async_insert=1",
            "clickhouse://u:hunter2@h/?insert_deduplication_token=x",
            "clickhouse://h/?password=hunter2",
        ] {
            let Err(StoreError::Permanent(why)) = Address::parse(url) else { panic!("{url}") };
            assert!(why.contains("store.url") && !why.contains("hunter2"), "{why}");
        }
    }
}
