//! What an error of the client or of Redis means for the caller: a pure function over it.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::Topology;
use super::setup::{Kind, Misfit};
use crate::domain::id::Epoch;
use crate::ports::queue::QueueError;

/// Codes that asking again won't cure: someone has to change a key, a user, or the configuration.
const PERMANENT: [&str; 6] = ["WRONGTYPE", "NOPERM", "NOAUTH", "WRONGPASS", "CROSSSLOT", "NOPROTO"];

/// Generic errors (`ERR …`) that asking again won't cure, by how they begin.
const PERMANENT_ERR: [&str; 8] = [
    "unknown command",
    "Error compiling script",
    "wrong number of arguments",
    "The user executing the script can't",
    "ACL failure in script",
    "DB index is out of range",
    "invalid DB index",
    NO_CLUSTER,
];

/// How a server begins its answer that is asked for a cluster's slots and has none.
const NO_CLUSTER: &str = "This instance has cluster support disabled";

/// Unknown errors are `Transient`: a passing state of a server that we don't know yet is likelier than a fault
/// that lasts, and what is asked again is never lost, while it shows as a growing queue.
pub(super) fn class(error: &RedisError, topology: &Topology) -> QueueError {
    if let Some(misfit) = misfit(error, topology) {
        return QueueError::Permanent(misfit.to_string());
    }
    let text = error.to_string();
    match error.kind() {
        ErrorKind::AuthenticationFailed
        | ErrorKind::InvalidClientConfig
        | ErrorKind::UnexpectedReturnType
        | ErrorKind::Parse
        | ErrorKind::RESP3NotSupported => return QueueError::Permanent(text),
        _ => {}
    }
    let (code, detail) = reply(error);
    let detail = detail.as_str();
    match code.as_str() {
        "EPOCH" => QueueError::Epoch { found: epoch(detail) },
        "OOM" => QueueError::Full(text),
        code if PERMANENT.contains(&code) => QueueError::Permanent(text),
        "ERR" if PERMANENT_ERR.iter().any(|head| detail.starts_with(head)) => {
            QueueError::Permanent(text)
        }
        _ => QueueError::Transient(text),
    }
}

/// The server's code and what follows it; empty where it is no server's answer. Of commands that were sent together,
/// the first that failed speaks.
fn reply(error: &RedisError) -> (String, String) {
    let replied = error.clone().into_server_errors();
    let first = replied.as_ref().and_then(|errors| errors.first()).map(|(_, e)| e);
    let (code, detail) = match first {
        Some(reply) => (Some(reply.code()), reply.details()),
        None => (error.code(), error.detail()),
    };
    (code.unwrap_or_default().to_owned(), detail.unwrap_or_default().to_owned())
}

/// What the error says of a server that is another kind of server than the settings say.
pub(super) fn misfit(error: &RedisError, topology: &Topology) -> Option<Misfit> {
    let (code, detail) = reply(error);
    let found = |kind| Some(Misfit::Topology { said: topology.name(), found: kind });
    match topology {
        Topology::Sentinel { master, .. }
            if error.kind() == ErrorKind::MasterNameNotFoundBySentinel =>
        {
            Some(Misfit::Master(master.clone()))
        }
        // Only a Sentinel knows this command.
        Topology::Sentinel { .. } if detail.to_ascii_lowercase().contains("command 'sentinel") => {
            found(Kind::Server)
        }
        Topology::Cluster if detail.starts_with(NO_CLUSTER) => found(Kind::Server),
        Topology::Single | Topology::Sentinel { .. } if code == "MOVED" => found(Kind::Node),
        _ => None,
    }
}

/// Whether another connection may fare better: this one is broken or silent, or leads to a server that isn't the
/// primary any more.
pub(super) fn spoils_connection(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
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

    const SENTINEL: Topology =
        Topology::Sentinel { master: String::new(), user: None, password: None };

    fn error_of_reply(line: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        reply.extract_error().unwrap_err()
    }

    fn class_of_reply(line: &str) -> QueueError {
        class(&error_of_reply(line), &Topology::Single)
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

    /// A node's redirections lead somewhere where a cluster is meant, and nowhere else.
    #[test]
    fn another_kind_of_server_is_named_with_what_to_do() {
        let (moved, ask) = ("MOVED 3999 127.0.0.1:6381", "ASK 3999 127.0.0.1:6381");
        let no_cluster = "ERR This instance has cluster support disabled";
        let no_sentinel = "ERR unknown command 'SENTINEL', with args beginning with: ";
        for (line, topology, expected, word) in [
            (moved, Topology::Single, "permanent", "\"cluster\""),
            (moved, SENTINEL, "permanent", "\"cluster\""),
            (moved, Topology::Cluster, "transient", "Moved"),
            (ask, Topology::Cluster, "transient", "Ask"),
            (no_cluster, Topology::Cluster, "permanent", "\"single\""),
            (no_sentinel, SENTINEL, "permanent", "\"single\""),
            (no_sentinel, Topology::Single, "permanent", "unknown command"),
        ] {
            let error = class(&error_of_reply(line), &topology);
            assert_eq!(name(&error), expected, "{line}");
            assert!(error.to_string().contains(word), "{error}");
        }
        let unknown = (ErrorKind::MasterNameNotFoundBySentinel, "no such master");
        let error = class(&RedisError::from(unknown), &SENTINEL);
        assert!(error.to_string().contains("redis.sentinel_master"), "{error}");
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
            assert_eq!(name(&class(&error, &SENTINEL)), "transient", "{kind}");
            assert!(spoils_connection(&error), "{kind}");
        }
        let refused = RedisError::from((ErrorKind::AuthenticationFailed, "no"));
        assert_eq!(name(&class(&refused, &SENTINEL)), "permanent");
    }
}
