//! The description of a gateway, as plain data that was checked. Not the place where one is read from a file, which is
//! `describe`, nor where it is applied to an answer, which is `read`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::template::{Encoding, Text, Value};
use crate::domain::answer::Means;
use crate::domain::classify::RequestKind;
use crate::domain::id::RecipeHash;
use crate::domain::retry::Lookup;

/// Everything that differs between gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub name: String,
    pub endpoints: Endpoints,
    pub body: Value,
    pub encoding: Encoding,
    /// Identifies what is sent for a transaction, and where.
    pub recipe: RecipeHash,
    /// How the answer to a charge reads, and that to a lookup.
    pub charge_fields: Fields,
    pub lookup_fields: Fields,
    /// Where the records of a lookup's answer stand as a list.
    pub lookup_list: Option<Pointer>,
    /// The first that fits is taken; none: the answer says nothing.
    pub rules: Vec<Rule>,
    /// What "never seen" is worth.
    pub lookup: Lookup,
    pub replays: Replays,
    /// How long it keeps a key; `None`: the description does not say.
    pub key_ttl: Option<Duration>,
}

/// What a key that was used before leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replays {
    /// The first answer again, whatever it was.
    All,
    /// The first answer again where it was an approval; else another decision.
    Approvals,
}

impl Profile {
    /// Whether a decline is the last word on its key.
    #[must_use]
    pub fn keeps_declines(&self) -> bool {
        self.replays == Replays::All
    }
}

/// Where requests go and which headers they carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub charge: Request,
    /// `None`: the gateway can't be asked.
    pub lookup: Option<Request>,
    /// The response header that marks a replay, in lower case, and its value then.
    pub replay: Option<(String, String)>,
    pub auth: Auth,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In upper case.
    pub method: String,
    /// Behind the base URL, with a leading slash; a query may follow.
    pub path: Text,
    /// Names in lower case. Only what can be told from the transaction's id stands in them.
    pub headers: Vec<(String, Text)>,
    pub content_type: Option<String>,
    /// Of a lookup that has one; a charge's is the profile's.
    pub lookup_body: Option<(Encoding, Value)>,
}

/// Where the credential of the configuration goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    None,
    /// `authorization: Bearer …`
    Bearer,
    /// `authorization: Basic …`, from `user:password`.
    Basic,
    /// A header of this name, in lower case.
    Header(String),
}

/// Where things stand in an answer. Of several places the first that holds something counts; no place: the gateway does
/// not tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields {
    pub gateway_id: Vec<Pointer>,
    /// Whether a decline has to carry the gateway's id; an approval always has to.
    pub declined_with_id: bool,
    pub status: Vec<Pointer>,
    pub error: Vec<Pointer>,
    pub transaction_id: Vec<Pointer>,
    pub amount: Vec<Pointer>,
    pub amount_form: AmountForm,
    pub currency: Vec<Pointer>,
    /// The reason of a decline.
    pub code: Vec<Pointer>,
}

/// How an answer writes an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmountForm {
    /// A whole number of minor units.
    #[default]
    Minor,
    /// The same as a text.
    MinorText,
    /// In the currency's main unit, as a number or a text.
    Decimal,
}

/// The way from the top of a JSON document to a value: names, and indices where there are arrays, as in a JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(pub Vec<String>);

/// One kind of answer, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `None`: to both kinds of request.
    pub to: Option<RequestKind>,
    pub http: Vec<RangeInclusive<u16>>,
    /// What stands at `status`, at `error` and at `code`.
    pub status: Values,
    pub error: Values,
    pub code: Values,
    /// Where the record stands; `None`: at the top.
    pub record: Option<Pointer>,
    pub echoes: Echoes,
    pub says: Says,
}

/// What has to stand at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    Nothing,
    Anything,
    /// It must be there.
    Something,
    OneOf(Vec<String>),
}

/// What of the request such an answer repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echoes {
    pub transaction_id: bool,
    pub amount: bool,
    pub currency: bool,
}

impl Echoes {
    /// What has a place among these fields too.
    #[must_use]
    pub fn of(self, fields: &Fields) -> Self {
        Self {
            transaction_id: self.transaction_id && !fields.transaction_id.is_empty(),
            amount: self.amount && !fields.amount.is_empty(),
            currency: self.currency && !fields.currency.is_empty(),
        }
    }

    #[must_use]
    pub fn are_all(self) -> bool {
        self.transaction_id && self.amount && self.currency
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    Approved,
    Declined,
    Duplicate,
    Running,
    /// As if no rule were there.
    Unknown,
    /// No record: only this.
    Error(Means),
}
