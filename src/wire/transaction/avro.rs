//! Avro, read with the schema it was written with. Fields find theirs by name, or where one of the writer's has the
//! name as an alias; what a writer's schema promises is checked when the schema is learnt, not record by record.
//!
//! The library's schema resolution is not used: it takes neither a decimal nor timestamp-millis where ours has a long.

use std::io::Read;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{DecimalSchema, Name};
use apache_avro::types::Value;

use super::fields::{Draft, Field, Raw};
use super::{Rejection, code};

/// Why a schema can't be one of transactions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchema {
    #[error("it is no Avro schema: {0}")]
    Unparsable(String),
    #[error("it is no record")]
    NoRecord,
    #[error("it has no field {0}, nor one with that alias")]
    Missing(&'static str),
    #[error("its field for {0} is taken for another one, too")]
    Twice(&'static str),
    #[error("its field {field} is {found}, it must be {wanted}")]
    Type { field: &'static str, found: String, wanted: &'static str },
    /// A short record could then nest without end.
    #[error("its type {0} contains itself")]
    Recursive(String),
}

/// Bounds what the library allocates for a length that a record only claims. The first caller's bound holds for the
/// whole process; a claim of small elements takes more memory than bytes, hence the factor.
pub(super) fn limit_allocations(max_bytes: usize) {
    apache_avro::util::max_allocation_bytes(max_bytes.saturating_mul(64).max(1 << 20));
}

/// A schema that records were written with, ready to read them.
pub(super) struct WriterSchema {
    schema: &'static Schema,
    reader: GenericDatumReader<'static>,
    /// For each of its fields, the one of ours that it is.
    fields: Vec<Option<Field>>,
}

impl WriterSchema {
    /// `references` are the schemas that it names and does not hold.
    pub(super) fn parse(json: &str, references: &[String]) -> Result<Self, BadSchema> {
        let unparsable = |why: apache_avro::Error| BadSchema::Unparsable(why.to_string());
        let parsed = Schema::parse_str_with_list(json, references).map_err(unparsable)?;
        let (mut schema, references) = parsed;
        schema.denormalize(&references).map_err(unparsable)?;
        refuse_recursion(&schema, &mut Vec::new())?;
        let fields = match_fields(&schema)?;
        // A topic has had a few schemas in its life, and the reader borrows: they stay until the process ends.
        let schema: &'static Schema = Box::leak(Box::new(schema));
        let reader = GenericDatumReader::builder(schema).build().map_err(unparsable)?;
        Ok(Self { schema, reader, fields })
    }

    /// Reads one datum and nothing behind it.
    pub(super) fn read(&self, datum: &[u8]) -> Result<Draft, Rejection> {
        let undecodable = |message: String| Rejection::new(code::UNDECODABLE, message);
        let mut rest = Exactly { bytes: datum, ran_out: false };
        // The library's own message may quote the record.
        let Ok(Value::Record(values)) = self.reader.read_value(&mut rest) else {
            return Err(undecodable("the Avro does not fit its schema".to_owned()));
        };
        if rest.ran_out {
            return Err(undecodable("the Avro breaks off".to_owned()));
        }
        if !rest.bytes.is_empty() {
            let message = format!("{} bytes stand behind the Avro", rest.bytes.len());
            return Err(undecodable(message));
        }
        let mut draft = Draft::default();
        let Schema::Record(record) = self.schema else { return Ok(draft) };
        for ((field, (_, value)), theirs) in self.fields.iter().zip(values).zip(&record.fields) {
            if let Some(field) = field {
                draft.put(*field, raw(value, &theirs.schema));
            }
        }
        Ok(draft)
    }
}

/// Notes when more is asked for than there is. Needed because the library reads a string or union that is cut off
/// as null.
struct Exactly<'a> {
    bytes: &'a [u8],
    ran_out: bool,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.ran_out |= buffer.len() > self.bytes.len();
        self.bytes.read(buffer)
    }
}

fn match_fields(schema: &Schema) -> Result<Vec<Option<Field>>, BadSchema> {
    let Schema::Record(record) = schema else { return Err(BadSchema::NoRecord) };
    let mut fields = vec![None; record.fields.len()];
    for field in Field::ALL {
        let named = |name: &str| record.fields.iter().position(|theirs| theirs.name == name);
        let aliased = || {
            let mut theirs = record.fields.iter().enumerate();
            theirs.find(|(_, theirs)| theirs.aliases.iter().any(|alias| alias == field.name()))
        };
        let at = named(field.name()).or_else(|| aliased().map(|(at, _)| at));
        let Some((at, theirs)) = at.and_then(|at| Some((at, record.fields.get(at)?))) else {
            if field.is_required() {
                return Err(BadSchema::Missing(field.name()));
            }
            continue;
        };
        check_type(field, &theirs.schema)?;
        if fields[at].replace(field).is_some() {
            return Err(BadSchema::Twice(field.name()));
        }
    }
    Ok(fields)
}

/// At least one of a union's branches must do; that a record has it is seen when it is read.
fn check_type(field: Field, schema: &Schema) -> Result<(), BadSchema> {
    let branches = match schema {
        Schema::Union(union) => union.variants(),
        other => std::slice::from_ref(other),
    };
    let fits = |schema: &Schema| match field {
        Field::Amount => matches!(schema, Schema::Int | Schema::Long | Schema::Decimal(_)),
        Field::CreatedAt => matches!(
            schema,
            Schema::Long
                | Schema::TimestampMicros
                | Schema::TimestampMillis
                | Schema::TimestampNanos
                | Schema::String
        ),
        Field::Metadata => matches!(schema, Schema::Map(_)),
        Field::TransactionId
        | Field::AccountId
        | Field::Currency
        | Field::PaymentMethod
        | Field::Description => {
            matches!(schema, Schema::String | Schema::Uuid(_) | Schema::Enum(_))
        }
    };
    if branches.iter().any(fits) {
        return Ok(());
    }
    let wanted = match field {
        Field::Amount => "a long of minor units or a decimal",
        Field::CreatedAt => "timestamp-micros, timestamp-millis or a long of microseconds",
        Field::Metadata => "a map of strings",
        _ => "a string",
    };
    let found = format!("{:?}", apache_avro::schema::SchemaKind::from(schema)).to_lowercase();
    Err(BadSchema::Type { field: field.name(), found, wanted })
}

fn refuse_recursion<'a>(schema: &'a Schema, within: &mut Vec<&'a Name>) -> Result<(), BadSchema> {
    match schema {
        Schema::Ref { name } if within.iter().any(|outer| outer.name() == name.name()) => {
            Err(BadSchema::Recursive(name.name().to_owned()))
        }
        Schema::Array(array) => refuse_recursion(&array.items, within),
        Schema::Map(map) => refuse_recursion(&map.types, within),
        Schema::Union(union) => {
            union.variants().iter().try_for_each(|branch| refuse_recursion(branch, within))
        }
        Schema::Record(record) => {
            within.push(&record.name);
            record.fields.iter().try_for_each(|field| refuse_recursion(&field.schema, within))?;
            within.pop();
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `schema` is what the value was written with.
fn raw(value: Value, schema: &Schema) -> Raw {
    match value {
        Value::Null => Raw::Null,
        Value::Boolean(_) => Raw::Boolean,
        Value::Int(number) => Raw::Integer(number.into()),
        Value::Long(number) => Raw::Integer(number),
        Value::Float(_) | Value::Double(_) => Raw::Float,
        Value::String(text) | Value::Enum(_, text) => Raw::Text(text),
        Value::Uuid(uuid) => Raw::Text(uuid.to_string()),
        Value::TimestampMicros(micros) => Raw::Time(micros),
        Value::TimestampMillis(millis) => {
            millis.checked_mul(1_000).map_or(Raw::HugeInteger, Raw::Time)
        }
        Value::TimestampNanos(nanos) => Raw::Time(nanos.div_euclid(1_000)),
        Value::Decimal(decimal) => match schema {
            Schema::Decimal(DecimalSchema { scale, .. }) => {
                let bytes = <Vec<u8>>::try_from(decimal).ok();
                Raw::Decimal { unscaled: bytes.and_then(|b| integer(&b)), scale: *scale }
            }
            _ => Raw::Other,
        },
        Value::Union(branch, value) => match schema {
            Schema::Union(union) => {
                let branch = usize::try_from(branch).ok().and_then(|at| union.variants().get(at));
                branch.map_or(Raw::Other, |branch| raw(*value, branch))
            }
            _ => Raw::Other,
        },
        Value::Map(entries) => {
            let Schema::Map(map) = schema else { return Raw::Other };
            let mut entries: Vec<_> =
                entries.into_iter().map(|(name, value)| (name, raw(value, &map.types))).collect();
            // The library's map has no order of its own; errors shall be the same each time.
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Raw::Map(entries)
        }
        _ => Raw::Other,
    }
}

/// A two's complement integer, the highest byte first, of any length; `None` where 64 bits can't hold it.
fn integer(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let (fill, start) = if negative { (0xFF, -1) } else { (0, 0) };
    let digits = &bytes[bytes.iter().take_while(|byte| **byte == fill).count()..];
    let number = digits.iter().try_fold(start, |number: i128, byte| {
        number.checked_mul(256).map(|number| number | i128::from(*byte))
    });
    number.and_then(|number| i64::try_from(number).ok())
}
