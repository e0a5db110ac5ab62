//! What a request carries, as a template: a tree of values in which fields of the transaction stand for themselves.
//! A template holds no transaction; `write` fills it in, `describe` makes it.

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Json,
    /// `application/x-www-form-urlencoded`, with `a[b]` for what stands within `a`.
    Form,
}

impl Encoding {
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// One value of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text, put together of its parts.
    Text(Text),
    /// A number, taken from the transaction.
    Number(Field),
    /// A number, `true` or `false`, as it was written.
    Fixed(String),
    /// The transaction's metadata, by name.
    Metadata,
    /// In this order.
    Object(Vec<Member>),
    Array(Vec<Value>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub value: Value,
}

/// A text. Where a field that may be absent is absent, so is the whole text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text(pub Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Literal(String),
    Field(Field),
}

/// What a transaction can give to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    TransactionId,
    /// A UUID made of the transaction id, for gateways that take nothing else for a key.
    TransactionUuid,
    AccountId,
    /// Minor units.
    Amount,
    /// In the currency's main unit, with all its decimals: `12.50`.
    AmountDecimal,
    Currency,
    CurrencyLower,
    PaymentMethod,
    /// Absent where the transaction has none.
    Description,
    /// One entry of the metadata; absent where the transaction has none of this name.
    Metadata(String),
    /// Seconds since 1970.
    CreatedAtSeconds,
    /// Microseconds since 1970.
    CreatedAtMicros,
}

impl Field {
    /// The words that stand for it in a description, without what `metadata.` is followed by.
    pub const WORDS: [(&'static str, Self); 11] = [
        ("transaction_id", Self::TransactionId),
        ("transaction_id:uuid", Self::TransactionUuid),
        ("account_id", Self::AccountId),
        ("amount", Self::Amount),
        ("amount:decimal", Self::AmountDecimal),
        ("currency", Self::Currency),
        ("currency:lower", Self::CurrencyLower),
        ("payment_method", Self::PaymentMethod),
        ("description", Self::Description),
        ("created_at:seconds", Self::CreatedAtSeconds),
        ("created_at:micros", Self::CreatedAtMicros),
    ];

    /// Whether a transaction may lack it.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        matches!(self, Self::Description | Self::Metadata(_))
    }

    /// Whether it can be told from the transaction's id alone, as a lookup has to.
    #[must_use]
    pub fn is_of_id(&self) -> bool {
        matches!(self, Self::TransactionId | Self::TransactionUuid)
    }
}

impl Value {
    /// Every field that stands in it.
    pub fn fields<'a>(&'a self, found: &mut Vec<&'a Field>) {
        match self {
            Self::Text(text) => found.extend(text.fields()),
            Self::Number(field) => found.push(field),
            Self::Fixed(_) | Self::Metadata => {}
            Self::Object(members) => members.iter().for_each(|it| it.value.fields(found)),
            Self::Array(items) => items.iter().for_each(|it| it.fields(found)),
        }
    }

    /// Whether the transaction's metadata goes in as a whole.
    #[must_use]
    pub fn has_metadata(&self) -> bool {
        match self {
            Self::Metadata => true,
            Self::Object(members) => members.iter().any(|it| it.value.has_metadata()),
            Self::Array(items) => items.iter().any(Self::has_metadata),
            Self::Text(_) | Self::Number(_) | Self::Fixed(_) => false,
        }
    }
}

impl Text {
    #[must_use]
    pub fn literal(text: &str) -> Self {
        Self(vec![Part::Literal(text.to_owned())])
    }

    #[must_use]
    pub fn of(field: Field) -> Self {
        Self(vec![Part::Field(field)])
    }

    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.0.iter().filter_map(|part| match part {
            Part::Field(field) => Some(field),
            Part::Literal(_) => None,
        })
    }
}
