//! From the configuration to what each adapter wants to know. Nothing is decided here; adapters never see the
//! configuration, and the configuration knows no adapter.

use anyhow::anyhow;

use super::exit::Exit;
use crate::adapters::{http_gateway, kafka, redis};
use crate::config::Config;
use crate::config::gateway::Profile as ProfileName;
use crate::config::kafka::Protocol;
use crate::config::redis::Topology;
use crate::config::transactions::Format;
use crate::config::units::Period;
use crate::wire::gateway::{Auth, Profile};
use crate::wire::transaction::{self, Decoder};

/// What every Kafka client of this process is made from. Without `kafka.instance_id` the transactional id is random:
/// call it once a process.
#[must_use]
pub fn kafka(config: &Config) -> kafka::Settings {
    let k = &config.kafka;
    let random = || format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let instance = k.instance_id.clone().unwrap_or_else(random);
    kafka::Settings {
        brokers: k.brokers.clone(),
        group_id: k.group_id.clone(),
        client_id: "tollbridge".to_owned(),
        instance_id: k.instance_id.clone(),
        transactional_id: format!("{}-{instance}", k.group_id),
        protocol: match k.protocol {
            Protocol::Classic => kafka::Protocol::Classic,
            Protocol::Consumer => kafka::Protocol::Consumer,
        },
        topics: kafka::Topics {
            transactions: k.topics.transactions.clone(),
            archived: k.topics.archived.clone(),
            declined: k.topics.declined.clone(),
            dead_letter: k.topics.dead_letter.clone(),
            alerts: k.topics.alerts.clone(),
        },
        session_timeout: k.session_timeout,
        transaction_timeout: k.transaction_timeout,
        request_timeout: k.request_timeout,
        properties: k
            .properties
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect(),
    }
}

#[must_use]
pub fn redis(config: &Config) -> redis::Settings {
    let r = &config.redis;
    let topology = match r.topology {
        Topology::Single => redis::Topology::Single,
        Topology::Sentinel => redis::Topology::Sentinel {
            master: r.sentinel_master.clone(),
            user: r.sentinel_user.clone(),
            password: r.sentinel_password.as_ref().map(|password| password.expose().to_owned()),
        },
        Topology::Cluster => redis::Topology::Cluster,
    };
    redis::Settings {
        url: r.url.expose().to_owned(),
        topology,
        ca_file: r.ca_file.clone(),
        prefix: r.prefix.clone(),
        group: config.kafka.group_id.clone(),
        topic: config.kafka.topics.transactions.clone(),
        connect_timeout: r.connect_timeout,
        response_timeout: r.response_timeout,
    }
}

/// The profile that the configuration names or describes.
///
/// # Errors
/// `Exit::BadConfig` with every flaw of a description, or where the credential does not fit the profile.
pub fn profile(config: &Config) -> anyhow::Result<Profile> {
    let profile = match &config.gateway.profile {
        ProfileName::BuiltIn(name) => Profile::built_in(name).ok_or_else(|| {
            Exit::BadConfig.because(anyhow!("gateway.profile: there is no profile {name:?}"))
        })?,
        ProfileName::Described { key, tree } => describe(key, tree)?,
    };
    check_credential(config, &profile).map_err(|why| Exit::BadConfig.because(anyhow!(why)))?;
    Ok(profile)
}

fn describe(key: &str, tree: &serde_json::Value) -> anyhow::Result<Profile> {
    let duration = |text: &str| text.parse::<Period>().ok().map(|period| period.0);
    Profile::describe(tree, duration).map_err(|flaws| {
        let lines: Vec<String> = flaws.iter().map(|flaw| format!("{key}: {flaw}")).collect();
        Exit::BadConfig.because(anyhow!(lines.join("\n")))
    })
}

/// Without a credential every call would be refused, which looks like an outage.
fn check_credential(config: &Config, profile: &Profile) -> Result<(), String> {
    let g = &config.gateway;
    let header = match &profile.endpoints.auth {
        Auth::None => None,
        Auth::Bearer | Auth::Basic => Some("authorization"),
        Auth::Header(name) => Some(name.as_str()),
    };
    let is_given = |name: &str| g.headers.contains_key(name);
    match (header, &g.credential) {
        (None, Some(_)) => Err(format!(
            "gateway.credential: profile {} has no place for it. Remove it, or write it as a header in \
             gateway.header_files.",
            profile.name
        )),
        (Some(name), None) if !is_given(name) => Err(format!(
            "gateway.credential: it has to be set for profile {}, which sends it as {name}. Name its file as \
             gateway.credential_file.",
            profile.name
        )),
        (Some(name), Some(_)) if is_given(name) => {
            Err(format!("gateway.credential: gateway.headers has {name} too. Keep one of the two."))
        }
        _ => Ok(()),
    }
}

#[must_use]
pub fn gateway(config: &Config, profile: &Profile) -> http_gateway::Settings {
    let g = &config.gateway;
    http_gateway::Settings {
        url: g.url.expose().to_owned(),
        endpoints: profile.endpoints.clone(),
        timeout: g.timeout,
        connect_timeout: g.connect_timeout,
        idle: g.idle,
        body_max: g.body_max,
        max_in_flight: g.max_in_flight,
        ca_file: g.ca_file.clone(),
        credential: g.credential.as_ref().map(|it| it.expose().to_owned()),
        headers: g
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect(),
    }
}

/// What reads the records of the source topic.
///
/// # Errors
/// `Exit::BadConfig` where the schema file can't be read, or describes no transaction.
pub fn decoder(config: &Config) -> anyhow::Result<Decoder> {
    let t = &config.transactions;
    let bad = |why: String| Exit::BadConfig.because(anyhow!("transactions.schema_file: {why}"));
    let schema = t.schema_file.as_ref().map(std::fs::read_to_string).transpose();
    let schema = schema.map_err(|error| bad(error.to_string()))?;
    let decoder = Decoder::new(format(config), schema.as_deref(), t.max_bytes);
    let decoder = decoder.map_err(|error| bad(error.to_string()))?;
    Ok(if config.schema_registry.is_some() { decoder.with_registry() } else { decoder })
}

/// How records of the source topic are written.
#[must_use]
pub fn format(config: &Config) -> transaction::Format {
    match config.transactions.format {
        Format::Auto => transaction::Format::Auto,
        Format::AvroConfluent => transaction::Format::AvroConfluent,
        Format::Avro => transaction::Format::Avro,
        Format::Json => transaction::Format::Json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::config::gateway::BUILT_IN;

    #[test]
    fn a_built_in_profile_keeps_keys_for_as_long_as_its_configuration_says() {
        for name in BUILT_IN {
            let longest = "gateway.key_ttl=30d".to_owned();
            let kept = Profile::built_in(name).unwrap().key_ttl;
            let mut set = ["kafka.brokers=k", "gateway.url=https://g"].map(str::to_owned).to_vec();
            set.push(format!("gateway.profile={name}"));
            set.extend(kept.is_none().then_some(longest));
            let overrides = set.iter().map(|text| text.parse().unwrap()).collect();
            let config =
                Config::from_sources(&Sources { overrides, ..Sources::default() }).unwrap();
            assert_eq!(
                config.gateway.key_ttl,
                kept.unwrap_or(std::time::Duration::from_hours(720)),
                "{name}"
            );
        }
    }
}
