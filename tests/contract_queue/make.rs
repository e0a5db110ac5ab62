//! Which server a world stands on. Both programs speak the same protocol, and each would pass for the other: every
//! world asks its servers before a test does.

use tollbridge_rig::{Redis, shared_cluster, shared_redis, shared_sentinels, shared_valkey};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// 7.0, which Debian 12 has and which is the oldest that the product takes, or what a newer system has.
    Redis,
    /// 8.1, from PyPI.
    Valkey,
}

impl Make {
    /// By what `INFO server` says. Valkey says `redis_version` too, of the Redis that it is compatible with.
    fn of(info: &str) -> Option<Self> {
        let value = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
        match (value("valkey_version:"), value("redis_version:")) {
            (Some(version), _) => version.starts_with("8.1.").then_some(Self::Valkey),
            (None, version) => {
                let major: u32 = version?.split('.').next()?.parse().ok()?;
                (major >= 7).then_some(Self::Redis)
            }
        }
    }

    #[track_caller]
    pub fn check(self, server: &Redis) {
        let info = server.command(&["INFO", "server"]).unwrap().text();
        assert_eq!(Self::of(&info), Some(self), "{info}");
    }
}

#[test]
fn the_servers_are_what_the_suite_says() {
    Make::Valkey.check(shared_valkey());
    let together = shared_sentinels().servers().iter().chain(shared_cluster().nodes());
    together.chain([shared_redis()]).for_each(|server| Make::Redis.check(server));
}
