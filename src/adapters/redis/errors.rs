//! What an error of the client or of Redis means for the caller: a pure function over it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::domain::id::Epoch;
use crate::ports::queue::QueueError;

/// Codes that asking again won't cure: someone has to change a key, a user, or the configuration.
const PERMANENT: [&str; 7] =
    ["WRONGTYPE", "NOPERM", "NOAUTH", "WRONGPASS", "CROSSSLOT", "MOVED", "NOPROTO"];

/// Generic errors (`ERR …`) that asking again won't cure, by how they begin.
const PERMANENT_ERR: [&str; 7] = [
    "unknown command",
    "Error compiling script",
    "wrong number of arguments",
    "The user executing the script can't",
    "ACL failure in script",
    "DB index is out of range",
    "invalid DB index",
];

/// Unknown errors are `Transient`: a passing state of a server that we don't know yet is likelier than a fault
/// that lasts, and what is asked again is never lost, while it shows as a growing queue.
pub(super) fn class(error: &RedisError) -> QueueError {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::UnexpectedReturnType
        | ErrorKind::Parse
        | ErrorKind::RESP3NotSupported => return QueueError::Permanent(text),
        _ => {}
    }
    // Of commands that were sent together, the first that failed speaks.
    let replied = error.clone().into_server_errors();
    let first = replied.as_ref().and_then(|errors| errors.first()).map(|(_, e)| e);
    let (code, detail) = match first {
        Some(reply) => (Some(reply.code()), reply.details()),
        None => (error.code(), error.detail()),
    };
    let detail = detail.unwrap_or_default();
    match code {
        Some("EPOCH") => QueueError::Epoch { found: epoch(detail) },
        Some("OOM") => QueueError::Full(text),
        Some("MOVED") => QueueError::Permanent(format!(
            "{text}; this is a cluster node: give the address of a Redis that holds every slot"
        )),
        Some(code) if PERMANENT.contains(&code) => QueueError::Permanent(text),
        Some("ERR") if PERMANENT_ERR.iter().any(|head| detail.starts_with(head)) => {
            QueueError::Permanent(text)
        }
        _ => QueueError::Transient(text),
    }
}

/// Whether another connection may fare better: this one is broken or silent, or leads to a server that isn't the
/// primary any more.
pub(super) fn spoils_connection(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    )
}

/// The scripts answer `EPOCH 12` or `EPOCH none`; what isn't a number was not written by an owner.
fn epoch(detail: &str) -> Option<Epoch> {
    detail.split_whitespace().next()?.parse().ok().map(Epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of_reply(line: &str) -> QueueError {
        let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        class(&reply.extract_error().unwrap_err())
    }

    fn name(error: &QueueError) -> &'static str {
        match error {
            QueueError::Transient(_) => "transient",
            QueueError::Full(_) => "full",
            QueueError::Epoch { .. } => "epoch",
            QueueError::Permanent(_) => "permanent",
        }
    }

    #[test]
    fn replies_fall_in_classes() {
        for (line, expected) in [
            ("LOADING Redis is loading the dataset in memory", "transient"),
            ("READONLY You can't write against a read only replica.", "transient"),
            ("BUSY Redis is busy running a script.", "transient"),
            ("TRYAGAIN Multiple keys request during rehashing of slot", "transient"),
            ("CLUSTERDOWN The cluster is down", "transient"),
            ("MASTERDOWN Link with MASTER is down", "transient"),
            ("NOREPLICAS Not enough good replicas to write.", "transient"),
            ("MISCONF Redis is configured to save RDB snapshots", "transient"),
            ("NOSCRIPT No matching script. Please use EVAL.", "transient"),
            ("ASK 3999 127.0.0.1:6381", "transient"),
            ("ERR max number of clients reached", "transient"),
            ("ERR something that nobody has seen yet", "transient"),
            ("NEWCODE something", "transient"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "full"),
            ("WRONGTYPE Operation against a key script: ab12, on @user_script:2.", "permanent"),
            ("NOPERM this user has no permissions to run the 'evalsha' command", "permanent"),
            ("ERR The user executing the script can't run this command", "permanent"),
            ("ERR ACL failure in script: User few has no permissions", "permanent"),
            ("NOAUTH Authentication required.", "permanent"),
            ("WRONGPASS invalid username-password pair", "permanent"),
            ("CROSSSLOT Keys in request don't hash to the same slot", "permanent"),
            ("MOVED 3999 127.0.0.1:6381", "permanent"),
            ("ERR unknown command 'EVALSHA', with args beginning with: ", "permanent"),
            ("ERR Error compiling script (new function): user_script:1:", "permanent"),
        ] {
            assert_eq!(name(&class_of_reply(line)), expected, "{line}");
        }
    }

    #[test]
    fn an_epoch_reply_names_what_stands_there() {
        for (line, expected) in [
            ("EPOCH 12", Some(Epoch(12))),
            ("EPOCH 18446744073709551615", Some(Epoch(u64::MAX))),
            ("EPOCH none", None),
            ("EPOCH ", None),
            ("EPOCH twelve", None),
        ] {
            match class_of_reply(line) {
                QueueError::Epoch { found } => assert_eq!(found, expected, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_broken_or_silent_connection_is_transient_and_given_up() {
        for kind in [
            std::io::ErrorKind::ConnectionRefused,
            std::io::ErrorKind::ConnectionReset,
            std::io::ErrorKind::TimedOut,
            std::io::ErrorKind::UnexpectedEof,
        ] {
            let error = RedisError::from(std::io::Error::from(kind));
            assert_eq!(name(&class(&error)), "transient", "{kind}");
            assert!(spoils_connection(&error), "{kind}");
        }
        let refused = RedisError::from((ErrorKind::AuthenticationFailed, "no"));
        assert_eq!(name(&class(&refused)), "permanent");
    }
}
