//! Reads a response with a profile's rules: a charge object, an error, or neither. What it says is compared with the
//! request nowhere here, but for the id where a list may hold records of others.

use std::borrow::Cow;

use super::amount;
use super::json::Json;
use super::profile::{AmountForm, Fields, Pointer, Profile, Rule, Says, Values};
use crate::domain::answer::{Decision, Echo, Means, Reading, Record, Response};
use crate::domain::classify::{Expected, RequestKind};
use crate::domain::money::Currency;
use crate::wire::plain::is_plain;

/// The longest text taken from an answer (an id, a code), in bytes.
const TEXT_BYTES_MAX: usize = 255;

/// The code of a decline that gives none.
const NO_CODE: &str = "declined";

/// A text, or why it can't be taken.
type Found<'a> = Result<Option<Cow<'a, str>>, String>;

impl Profile {
    /// What a response says. Whatever breaks the schema is unreadable.
    #[must_use]
    pub fn read<'a>(
        &self,
        kind: RequestKind,
        expected: &Expected<'_>,
        response: &'a Response,
    ) -> Reading<'a> {
        if response.body.is_empty() {
            return Reading::Unreadable("without a body".to_owned());
        }
        let read = || -> Result<Reading<'a>, String> {
            let json = Json::parse(&response.body)?;
            let is_success = (200..300).contains(&response.status);
            match self.lookup_list.as_ref().filter(|_| kind == RequestKind::Lookup && is_success) {
                Some(list) => self.read_list(expected, response.status, json.at(&list.0)),
                None => self.read_one(kind, expected, response.status, &json),
            }
        };
        read().unwrap_or_else(Reading::Unreadable)
    }

    /// An approval counts most, then what is still being decided: once charged is charged.
    fn read_list<'a>(
        &self,
        expected: &Expected<'_>,
        status: u16,
        list: Option<&Json<'a>>,
    ) -> Result<Reading<'a>, String> {
        let Some(Json::Array(items)) = list else {
            return Err("JSON without the list of records".to_owned());
        };
        let weight = |record: &Record<'_>| match record.decision {
            Decision::Approved => 2,
            Decision::Running => 1,
            Decision::Declined { .. } | Decision::Duplicate { .. } => 0,
        };
        let mut best: Option<Record<'a>> = None;
        for item in items {
            let Reading::Record(record) =
                self.read_one(RequestKind::Lookup, expected, status, item)?
            else {
                return Err("a list with something else than records".to_owned());
            };
            // A list that does not heed what was asked for says nothing by what it lacks.
            if matches!(&record.transaction_id, Echo::Told(id) if id != expected.id.as_str()) {
                return Err("a list with another transaction's record".to_owned());
            }
            if best.as_ref().is_none_or(|other| weight(&record) > weight(other)) {
                best = Some(record);
            }
        }
        let nothing = || Reading::Error { code: "none".to_owned(), means: Some(Means::NeverSeen) };
        Ok(best.map_or_else(nothing, Reading::Record))
    }

    fn read_one<'a>(
        &self,
        kind: RequestKind,
        expected: &Expected<'_>,
        http: u16,
        json: &Json<'a>,
    ) -> Result<Reading<'a>, String> {
        let fields = match kind {
            RequestKind::Charge => &self.charge_fields,
            RequestKind::Lookup => &self.lookup_fields,
        };
        let status = scalar(json, &fields.status)?;
        let error = scalar(json, &fields.error)?;
        for rule in self.rules.iter().filter(|rule| rule.is_for(kind, http)) {
            if !rule.status.fit(status.as_deref()) || !rule.error.fit(error.as_deref()) {
                continue;
            }
            let record = match &rule.record {
                None => Some(json),
                Some(pointer) => json.at(&pointer.0),
            };
            let Some(record) = record else { continue };
            let code = scalar(record, &fields.code)?;
            if !rule.code.fit(code.as_deref()) {
                continue;
            }
            let code = code.or(error.clone());
            return self.say(rule, fields, expected.currency, record, code);
        }
        match (status, error) {
            (None, Some(code)) => Ok(Reading::Error { code: code.into_owned(), means: None }),
            (Some(_), None) => Err("a record that the profile does not know".to_owned()),
            (Some(_), Some(_)) => Err("both a record and an error".to_owned()),
            (None, None) => Err("JSON without a record or an error".to_owned()),
        }
    }

    fn say<'a>(
        &self,
        rule: &Rule,
        fields: &Fields,
        currency: Currency,
        json: &Json<'a>,
        code: Option<Cow<'a, str>>,
    ) -> Result<Reading<'a>, String> {
        let code = || code.unwrap_or(Cow::Borrowed(NO_CODE)).into_owned();
        let decision = match rule.says {
            Says::Approved => Decision::Approved,
            Says::Declined => Decision::Declined { code: code() },
            Says::Duplicate => Decision::Duplicate { code: code() },
            Says::Running => Decision::Running,
            Says::Unknown => return Ok(Reading::Error { code: code(), means: None }),
            Says::Error(means) => {
                return Ok(Reading::Error { code: code(), means: Some(means) });
            }
        };
        let gateway_id = scalar(json, &fields.gateway_id)?.map(Cow::into_owned);
        let is_decline = matches!(rule.says, Says::Declined | Says::Duplicate);
        if is_decline && gateway_id.is_none() && fields.declined_with_id {
            return Err("a decline without the gateway's id".to_owned());
        }
        let told_currency = text(json, &fields.currency)?.map(upper_case);
        let unit = told_currency.as_deref().and_then(Currency::parse).unwrap_or(currency);
        let amount = amount_of(json, fields, unit)?;
        let echoes = rule.echoes.of(fields);
        Ok(Reading::Record(Record {
            gateway_id,
            decision,
            transaction_id: echo(echoes.transaction_id, scalar(json, &fields.transaction_id)?),
            amount: echo(echoes.amount, amount),
            currency: echo(echoes.currency, told_currency),
        }))
    }
}

impl Rule {
    fn is_for(&self, kind: RequestKind, http: u16) -> bool {
        self.to.is_none_or(|to| to == kind) && self.http.iter().any(|range| range.contains(&http))
    }
}

impl Values {
    fn fit(&self, found: Option<&str>) -> bool {
        match self {
            Self::Anything => true,
            Self::Nothing => found.is_none(),
            Self::Something => found.is_some(),
            Self::OneOf(values) => {
                found.is_some_and(|found| values.iter().any(|value| value == found))
            }
        }
    }
}

/// What is there counts, whether it had to be or not: another amount is never overlooked.
fn echo<T>(is_due: bool, found: Option<T>) -> Echo<T> {
    match found {
        Some(found) => Echo::Told(found),
        None if is_due => Echo::Missing,
        None => Echo::Untold,
    }
}

fn upper_case(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        text.to_ascii_uppercase().into()
    } else {
        text
    }
}

fn first<'j, 'a, 'p>(
    json: &'j Json<'a>,
    pointers: &'p [Pointer],
) -> Option<(&'j Json<'a>, &'p Pointer)> {
    pointers.iter().find_map(|pointer| Some((json.at(&pointer.0)?, pointer)))
}

/// A text, or a whole number, `true` or `false` as one.
fn scalar<'a>(json: &Json<'a>, pointers: &[Pointer]) -> Found<'a> {
    match first(json, pointers) {
        Some((Json::Integer(number), _)) => Ok(Some(number.to_string().into())),
        Some((Json::Bool(yes), _)) => Ok(Some(if *yes { "true" } else { "false" }.into())),
        _ => text(json, pointers),
    }
}

/// A non-empty text of bounded length without control characters.
fn text<'a>(json: &Json<'a>, pointers: &[Pointer]) -> Found<'a> {
    match first(json, pointers) {
        None => Ok(None),
        Some((Json::Text(text), pointer)) => {
            let fit = !text.is_empty()
                && text.len() <= TEXT_BYTES_MAX
                && (is_plain(text) || !text.chars().any(char::is_control));
            if fit { Ok(Some(text.clone())) } else { Err(unfit(pointer)) }
        }
        Some((_, pointer)) => Err(unfit(pointer)),
    }
}

fn amount_of(json: &Json<'_>, fields: &Fields, unit: Currency) -> Result<Option<i64>, String> {
    let Some((value, pointer)) = first(json, &fields.amount) else { return Ok(None) };
    let minor = match (fields.amount_form, value) {
        (AmountForm::Minor, Json::Integer(number)) => Some(*number),
        (AmountForm::MinorText, Json::Text(text)) => amount::whole(text),
        (AmountForm::Decimal, Json::Integer(number)) => amount::minor(&number.to_string(), unit),
        (AmountForm::Decimal, Json::Fraction(text)) => amount::minor(text, unit),
        (AmountForm::Decimal, Json::Text(text)) => amount::minor(text, unit),
        _ => None,
    };
    minor.map(Some).ok_or_else(|| unfit(pointer))
}

fn unfit(pointer: &Pointer) -> String {
    format!("JSON with an unfit {}", pointer.0.join("."))
}
