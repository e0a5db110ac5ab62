//! Reads a body with a profile's fields: a charge object, an error object, or neither. What it says is compared
//! with nothing here.

use std::borrow::Cow;

use super::json::Json;
use super::profile::{Pointer, Profile};
use crate::domain::answer::{Decision, Reading, Record};

/// The longest text taken from an answer (an id, a code), in bytes.
const TEXT_BYTES_MAX: usize = 255;

/// The code of a decline that gives none.
const NO_CODE: &str = "declined";

impl Profile {
    /// What `body` says. Whatever breaks the schema is unreadable.
    #[must_use]
    pub fn read<'a>(&self, body: &'a [u8]) -> Reading<'a> {
        self.try_read(body).unwrap_or_else(Reading::Unreadable)
    }

    fn try_read<'a>(&self, body: &'a [u8]) -> Result<Reading<'a>, String> {
        if body.is_empty() {
            return Err("without a body".to_owned());
        }
        let json = Json::parse(body)?;
        let fields = &self.fields;
        match (text(&json, &fields.status)?, text(&json, &fields.error_code)?) {
            (Some(status), None) => self.record(&json, &status).map(Reading::Record),
            (None, Some(code)) => Ok(Reading::Error(code.into_owned())),
            (Some(_), Some(_)) => Err("both a record and an error".to_owned()),
            (None, None) => Err("JSON without a record or an error".to_owned()),
        }
    }

    fn record<'a>(&self, json: &Json<'a>, status: &str) -> Result<Record<'a>, String> {
        let fields = &self.fields;
        let among = |values: &[String]| values.iter().any(|value| value == status);
        let decision = if among(&fields.approved) {
            Decision::Approved
        } else if among(&fields.declined) {
            let code = optional_text(json, fields.code.as_ref())?;
            Decision::Declined { code: code.unwrap_or(Cow::Borrowed(NO_CODE)).into_owned() }
        } else if among(&fields.running) {
            Decision::Running
        } else {
            return Err("a record with a status that the profile does not know".to_owned());
        };
        let gateway_id = text(json, &fields.gateway_id)?.map(Cow::into_owned);
        let declined = matches!(decision, Decision::Declined { .. });
        if declined && gateway_id.is_none() && fields.declined_with_id {
            return Err("a decline without the gateway's id".to_owned());
        }
        Ok(Record {
            gateway_id,
            decision,
            transaction_id: optional_text(json, fields.transaction_id.as_ref())?,
            amount: fields.amount.as_ref().map_or(Ok(None), |pointer| integer(json, pointer))?,
            currency: optional_text(json, fields.currency.as_ref())?.map(upper_case),
        })
    }
}

fn optional_text<'a>(
    json: &Json<'a>,
    pointer: Option<&Pointer>,
) -> Result<Option<Cow<'a, str>>, String> {
    pointer.map_or(Ok(None), |pointer| text(json, pointer))
}

fn upper_case(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        text.to_ascii_uppercase().into()
    } else {
        text
    }
}

/// A non-empty text of bounded length without control characters.
fn text<'a>(json: &Json<'a>, pointer: &Pointer) -> Result<Option<Cow<'a, str>>, String> {
    match json.at(&pointer.0) {
        None => Ok(None),
        Some(Json::Text(text)) => {
            let fit = !text.is_empty()
                && text.len() <= TEXT_BYTES_MAX
                && !text.chars().any(char::is_control);
            if fit { Ok(Some(text.clone())) } else { Err(unfit(pointer)) }
        }
        Some(_) => Err(unfit(pointer)),
    }
}

fn integer(json: &Json<'_>, pointer: &Pointer) -> Result<Option<i64>, String> {
    match json.at(&pointer.0) {
        None => Ok(None),
        Some(Json::Integer(number)) => Ok(Some(*number)),
        Some(_) => Err(unfit(pointer)),
    }
}

fn unfit(pointer: &Pointer) -> String {
    format!("JSON with an unfit {}", pointer.0.join("."))
}
