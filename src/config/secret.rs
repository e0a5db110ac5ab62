//! Values that must not reach a log, a terminal or an error message. Reading one takes the word `expose`.

use std::fmt;

/// A password, a token, a whole header. Prints as `***`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

/// A URL whose password is masked when it is printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretUrl(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl SecretUrl {
    #[must_use]
    pub fn new(url: String) -> Self {
        Self(url)
    }

    /// With its password.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What stands before the first `:`, for example `redis` or `sqlite`; empty where there is none.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// Host and port as they stand in the URL, between user and path; empty where it has no `//`.
    #[must_use]
    pub fn authority(&self) -> &str {
        let rest = self.0.split_once("//").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for SecretUrl {
    /// Masks the password before the `@`, and every query parameter that is named after one. Where a password holds
    /// a bare `/`, `?` or `#`, everything up to the last `@` is masked: too much rather than too little. What has no
    /// `//` and names no file of SQLite's is no URL that we know, and any of it may be the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("//") else {
            let is_file = self.0.is_empty() || self.scheme() == "sqlite";
            return f.write_str(if is_file { &self.0 } else { "***" });
        };
        write!(f, "{scheme}//")?;
        let rest = match rest.rsplit_once('@') {
            Some((user, rest)) => {
                let name = user.split([':', '/', '?', '#']).next().unwrap_or_default();
                write!(f, "{name}{}@", if user.len() > name.len() { ":***" } else { "" })?;
                rest
            }
            None => rest,
        };
        let Some((path, query)) = rest.split_once('?') else { return f.write_str(rest) };
        f.write_str(path)?;
        for (i, pair) in query.split('&').enumerate() {
            f.write_str(if i == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((name, _)) if names_a_secret(name) => write!(f, "{name}=***")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "secret", "token", "key"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_everything_else_stays() {
        for (url, shown) in [
            ("redis://h:6379/0", "redis://h:6379/0"),
            ("redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
            ("rediss://u:pw@h", "rediss://u:***@h"),
            ("postgres://u@h/db", "postgres://u@h/db"),
            ("postgres://u:p@w/x?y@h/db", "postgres://u:***@h/db"),
            (
                "postgres://h/db?user=u&password=pw&sslmode=require",
                "postgres://h/db?user=u&password=***&sslmode=require",
            ),
            ("sqlite:tollbridge.db", "sqlite:tollbridge.db"),
            ("redis:/u:pw@h", "***"),
            ("pw", "***"),
            ("", ""),
        ] {
            let secret = SecretUrl::new(url.to_owned());
            assert_eq!(secret.to_string(), shown);
            assert_eq!(format!("{secret:?}"), shown);
            assert_eq!(secret.expose(), url);
        }
        assert_eq!(format!("{:?}", Secret::new("pw".to_owned())), "***");
    }

    #[test]
    fn a_url_knows_its_scheme_and_authority() {
        let url = SecretUrl::new("https://u:p@pay.example:8443/v1?x".to_owned());
        assert_eq!((url.scheme(), url.authority()), ("https", "pay.example:8443"));
        let file = SecretUrl::new("sqlite:tollbridge.db".to_owned());
        assert_eq!((file.scheme(), file.authority()), ("sqlite", ""));
        assert_eq!(SecretUrl::default().scheme(), "");
    }
}
