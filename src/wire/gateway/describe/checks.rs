//! What must be true of a description as a whole, whatever gateway it is of: that a request carries its key, that an
//! outage can't read as a decline, and that some answer can end a transaction.

use super::foreign;
use super::section::Flaws;
use crate::domain::answer::Means;
use crate::domain::classify::RequestKind;
use crate::wire::gateway::profile::{Echoes, Fields, Profile, Request, Rule, Says, Values};
use crate::wire::gateway::template::{Field, Part, Value};

/// Statuses that say something of the way there, of who asks, or of the gateway's own trouble; never of a payment.
const NO_DECISION: [u16; 9] = [401, 403, 404, 407, 408, 409, 421, 425, 429];

pub(super) fn check(profile: &Profile, flaws: &mut Flaws) {
    check_key(profile, flaws);
    check_request("charge", &profile.endpoints.charge, flaws);
    if let Some(lookup) = &profile.endpoints.lookup {
        check_request("lookup", lookup, flaws);
        check_lookup(lookup, flaws);
    }
    for (i, rule) in profile.rules.iter().enumerate() {
        check_rule(&format!("rule.{}", i + 1), rule, profile, flaws);
    }
    if !profile.rules.is_empty() {
        check_whole(profile, flaws);
    }
}

/// A charge without its key could charge twice.
fn check_key(profile: &Profile, flaws: &mut Flaws) {
    let charge = &profile.endpoints.charge;
    let mut fields: Vec<&Field> = charge.path.fields().collect();
    fields.extend(charge.headers.iter().flat_map(|(_, text)| text.fields()));
    profile.body.fields(&mut fields);
    if !fields.iter().any(|field| field.is_of_id()) {
        let remedy = "Name the header of the gateway's idempotency key, or put {transaction_id} where it belongs.";
        flaws.note("charge.key_header", "nothing in the request carries the key", remedy);
    }
}

fn check_request(key: &str, request: &Request, flaws: &mut Flaws) {
    if !matches!(request.method.as_str(), "GET" | "POST" | "PUT" | "PATCH") {
        let remedy = "Choose one of POST, PUT, PATCH; for a lookup also GET.";
        flaws.note(
            &format!("{key}.method"),
            format!("{:?} asks for nothing", request.method),
            remedy,
        );
    }
    if key == "charge" && request.method == "GET" {
        flaws.note("charge.method", "a GET must not charge", "Choose one of POST, PUT, PATCH.");
    }
    let remedy = "Only {transaction_id} and {transaction_id:uuid} can stand there.";
    if request.path.0.iter().any(|part| matches!(part, Part::Literal(text) if text.contains('#'))) {
        let remedy = "Write # as %23.";
        flaws.note(&format!("{key}.path"), "a fragment is not sent", remedy);
    }
    if foreign(request.path.fields()) {
        flaws.note(&format!("{key}.path"), "a path is made of the transaction's id alone", remedy);
    }
    for (name, text) in &request.headers {
        if foreign(text.fields()) {
            let key = format!("{key}.headers.{name}");
            flaws.note(&key, "a header is made of the transaction's id alone", remedy);
        }
    }
}

fn check_lookup(lookup: &Request, flaws: &mut Flaws) {
    let mut fields: Vec<&Field> = lookup.path.fields().collect();
    let has_metadata = lookup.lookup_body.as_ref().is_some_and(|(_, body)| body.has_metadata());
    if let Some((_, body)) = &lookup.lookup_body {
        body.fields(&mut fields);
    }
    if has_metadata || foreign(fields.iter().copied()) {
        let remedy = "Only {transaction_id} and {transaction_id:uuid} can stand there.";
        flaws.note("lookup.body", "a lookup knows the transaction's id alone", remedy);
    } else if fields.is_empty() {
        let remedy = "Put {transaction_id} where the gateway takes our reference.";
        flaws.note("lookup.path", "it asks for no transaction", remedy);
    }
}

fn check_rule(key: &str, rule: &Rule, profile: &Profile, flaws: &mut Flaws) {
    let name = |field: &str| format!("{key}.{field}");
    if matches!(rule.says, Says::Approved | Says::Declined | Says::Duplicate) {
        let outage = |status: &u16| NO_DECISION.contains(status) || *status >= 500 || *status < 200;
        let bad = rule.http.iter().flat_map(Clone::clone).find(outage);
        if let Some(status) = bad {
            let remedy = "An outage is no decision: name the statuses one by one, without it.";
            flaws.note(&name("http"), format!("{status} decides no payment"), remedy);
        }
    }
    let is_named = named(&rule.status) || named(&rule.error) || named(&rule.code);
    let is_success = rule.says == Says::Approved
        && rule.http.iter().all(|range| *range.start() >= 200 && *range.end() < 300);
    if !is_named && !is_success && rule.says != Says::Unknown {
        let remedy = "Name what stands at answer.status, answer.error or answer.code.";
        flaws.note(&name("means"), "any page with that HTTP status would mean this", remedy);
    }
    let is_misplaced = match rule.says {
        Says::Error(Means::NotTaken | Means::KeyReused) => rule.to != Some(RequestKind::Charge),
        Says::Error(Means::NeverSeen) => rule.to != Some(RequestKind::Lookup),
        _ => false,
    };
    if is_misplaced {
        flaws.note(&name("to"), "no such answer can come to that request", "Remove the key.");
    }
    if rule.to == Some(RequestKind::Lookup) && profile.endpoints.lookup.is_none() {
        flaws.note(&name("to"), "there is no [lookup]", "Describe it, or remove the rule.");
    }
    for (field, values, places) in [
        ("status", &rule.status, &profile.charge_fields.status),
        ("error", &rule.error, &profile.charge_fields.error),
        ("code", &rule.code, &profile.charge_fields.code),
    ] {
        let also = match field {
            "status" => &profile.lookup_fields.status,
            "error" => &profile.lookup_fields.error,
            _ => &profile.lookup_fields.code,
        };
        if named(values) && places.is_empty() && also.is_empty() {
            let remedy = format!("Set answer.{field} to its place.");
            flaws.note(&name(field), format!("nothing says where the {field} stands"), remedy);
        }
    }
}

fn named(values: &Values) -> bool {
    matches!(values, Values::Something | Values::OneOf(_))
}

/// An approval can be told, and held against the request: by the answer itself, or by a lookup.
fn check_whole(profile: &Profile, flaws: &mut Flaws) {
    for (says, word) in [(Says::Approved, "approved"), (Says::Declined, "declined")] {
        if !profile
            .rules
            .iter()
            .any(|rule| rule.says == says && rule.to != Some(RequestKind::Lookup))
        {
            let remedy = format!("Write a [[rule]] with means = \"{word}\".");
            flaws.note("rule", format!("no answer to a charge means {word}"), remedy);
        }
    }
    let kinds = [
        (RequestKind::Charge, "answer", &profile.charge_fields),
        (RequestKind::Lookup, "lookup.answer", &profile.lookup_fields),
    ];
    for (kind, section, fields) in kinds {
        let has_approval = approvals(profile, kind).next().is_some();
        if has_approval && fields.gateway_id.is_empty() {
            let remedy = "Say where the gateway's id stands in a record.";
            flaws.note(&format!("{section}.id"), "it has to be set", remedy);
        }
    }
    let whole = |kind, fields: &Fields| {
        let all = |echoes: Echoes| echoes.of(fields).are_all();
        approvals(profile, kind).any(|rule| all(rule.echoes))
    };
    let by_charge = approvals(profile, RequestKind::Charge)
        .all(|rule| rule.echoes.of(&profile.charge_fields).are_all());
    let by_lookup =
        profile.endpoints.lookup.is_some() && whole(RequestKind::Lookup, &profile.lookup_fields);
    if !by_charge && !by_lookup {
        let remedy = "Say where transaction_id, amount and currency stand, or describe a lookup that tells them.";
        flaws.note("answer", "no approval could be held against its request", remedy);
    }
    if matches!(&profile.body, Value::Object(members) if members.is_empty()) {
        flaws.note("charge.body", "it has to be set", "Write the fields of the request under it.");
    }
}

fn approvals(profile: &Profile, kind: RequestKind) -> impl Iterator<Item = &Rule> {
    let is_of = move |rule: &&Rule| rule.to.is_none_or(|to| to == kind);
    profile.rules.iter().filter(|rule| rule.says == Says::Approved).filter(is_of)
}
