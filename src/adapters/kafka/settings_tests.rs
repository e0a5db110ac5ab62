//! Which property wins.

use super::*;

fn settings(protocol: Protocol, properties: &[(&str, &str)]) -> Settings {
    Settings {
        brokers: "127.0.0.1:1".into(),
        group_id: "tollbridge".into(),
        client_id: "tollbridge-test".into(),
        instance_id: None,
        transactional_id: "tollbridge-test".into(),
        protocol,
        topics: Topics {
            transactions: "transactions".into(),
            archived: "tx-archived".into(),
            declined: "tx-declined".into(),
            dead_letter: "tx-dead-letter".into(),
            alerts: "tx-alerts".into(),
        },
        session_timeout: Duration::from_secs(10),
        transaction_timeout: Duration::from_secs(8),
        request_timeout: Duration::from_secs(5),
        properties: properties.iter().map(|(p, v)| ((*p).into(), (*v).into())).collect(),
    }
}

fn over(property: &str, given: &str, used: Option<&str>) -> Overridden {
    Overridden { property: property.into(), given: given.into(), used: used.map(Into::into) }
}

#[test]
fn safety_wins_over_the_user_and_says_so() {
    let settings = settings(
        Protocol::Classic,
        &[
            ("isolation.level", "read_uncommitted"),
            ("enable.auto.commit", "true"),
            ("enable.idempotence", "false"),
            ("check.crcs", "true"),
            ("linger.ms", "50"),
        ],
    );
    assert_eq!(
        settings.overridden(),
        [
            over("enable.auto.commit", "true", Some("false")),
            over("enable.idempotence", "false", Some("true")),
            over("isolation.level", "read_uncommitted", Some("read_committed")),
        ]
    );
    let member = settings.client(Role::Member);
    assert_eq!(member.get("isolation.level"), Some("read_committed"));
    assert_eq!(member.get("auto.offset.reset"), Some("error"));
    assert_eq!(settings.client(Role::Reader).get("isolation.level"), Some("read_committed"));
    let publisher = settings.client(Role::Publisher);
    assert_eq!(publisher.get("enable.idempotence"), Some("true"));
    assert_eq!(publisher.get("linger.ms"), Some("50"));
}

#[test]
fn what_the_broker_led_protocol_rejects_is_left_out() {
    let given = [("session.timeout.ms", "9000"), ("heartbeat.interval.ms", "100")];
    let settings = settings(Protocol::Consumer, &given);
    let member = settings.client(Role::Member);
    assert_eq!(member.get("group.protocol"), Some("consumer"));
    for property in OF_CLASSIC_MEMBERS {
        assert_eq!(member.get(property), None, "{property}");
    }
    assert_eq!(
        settings.overridden(),
        [over("heartbeat.interval.ms", "100", None), over("session.timeout.ms", "9000", None),]
    );
}

#[test]
fn librdkafka_accepts_every_role_under_both_protocols() {
    for protocol in [Protocol::Classic, Protocol::Consumer] {
        let settings = settings(protocol, &[]);
        for role in [Role::Member, Role::Reader, Role::Publisher, Role::Feeder, Role::Admin] {
            let native = settings.client(role).create_native_config();
            assert!(native.is_ok(), "{protocol:?} {role:?}: {:?}", native.err());
        }
    }
}

#[test]
fn only_the_member_has_the_static_identity() {
    let mut settings = settings(Protocol::Classic, &[("group.instance.id", "someone")]);
    assert_eq!(settings.overridden(), [over("group.instance.id", "someone", None)]);
    settings.instance_id = Some("tollbridge-0".into());
    assert_eq!(settings.client(Role::Member).get("group.instance.id"), Some("tollbridge-0"));
    assert_eq!(settings.client(Role::Reader).get("group.instance.id"), None);
}

#[test]
fn a_poll_interval_is_held_against_the_session_timeout_of_the_member_alone() {
    let settings = settings(Protocol::Classic, &[("max.poll.interval.ms", "20000")]);
    let member = settings.client(Role::Member);
    assert_eq!(member.get("max.poll.interval.ms"), Some("20000"));
    let made = |role| settings.client(role).create::<rdkafka::consumer::BaseConsumer>();
    for role in [Role::Member, Role::Reader] {
        assert!(made(role).is_ok(), "{role:?}: {:?}", made(role).err());
    }
}
