//! How a record names the schema that it was written with, and what a registry holds under such a name. What a schema
//! says is read elsewhere.

use std::fmt;

/// Names a schema in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaRef {
    Id(u32),
    Guid([u8; 16]),
}

/// What a registry holds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// An Avro schema, and those that it refers to.
    Avro { schema: String, references: Vec<String> },
    /// A schema of another kind, such as `PROTOBUF`.
    Other(String),
    /// Nothing, for as long as it was asked.
    Nothing,
}

impl fmt::Display for SchemaRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id {id}"),
            Self::Guid(guid) => write!(f, "GUID {}", super::hex::hex(guid)),
        }
    }
}
