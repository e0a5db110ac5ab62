//! What a registry's answers say.

use serde_json::Value;

/// A schema as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub schema: String,
    /// `None`: Avro.
    pub kind: Option<String>,
    /// Subject and version of each schema that it names.
    pub references: Vec<(String, u64)>,
}

impl Said {
    pub(super) fn read(answer: &Value) -> Result<Self, String> {
        let schema = answer["schema"].as_str().ok_or("an answer without a schema")?.to_owned();
        let kind = answer["schemaType"].as_str().filter(|kind| *kind != "AVRO");
        let reference = |reference: &Value| {
            let (subject, version) = (reference["subject"].as_str(), reference["version"].as_u64());
            Some((subject?.to_owned(), version?))
        };
        let references = answer["references"].as_array().into_iter().flatten().map(reference);
        let references = references.collect::<Option<_>>();
        let references = references.ok_or("a reference without subject or version")?;
        Ok(Self { schema, kind: kind.map(str::to_owned), references })
    }
}

/// Whether the answer is an error of the registry's own.
pub(super) fn names_error(answer: Option<&Value>) -> bool {
    answer.is_some_and(|answer| answer["error_code"].is_u64())
}

/// What an error says, for people.
pub(super) fn message(answer: Option<Value>) -> Option<String> {
    let answer = answer?;
    let text = answer["message"].as_str()?;
    Some(text.chars().filter(|c| !c.is_control()).take(200).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_told_with_its_kind_and_what_it_needs() {
        let plain = Said::read(&json!({ "schema": "\"long\"" })).unwrap();
        assert_eq!(
            (plain.schema.as_str(), plain.kind, plain.references),
            ("\"long\"", None, vec![])
        );
        let avro = json!({ "schema": "s", "schemaType": "AVRO", "references": [
            { "name": "a.B", "subject": "b", "version": 3 }] });
        assert_eq!(Said::read(&avro).unwrap().references, [("b".to_owned(), 3)]);
        let other = Said::read(&json!({ "schema": "s", "schemaType": "JSON" })).unwrap();
        assert_eq!(other.kind.as_deref(), Some("JSON"));
        for bad in [json!({}), json!({ "schema": 1 }), json!({ "schema": "s", "references": [{}] })]
        {
            assert!(Said::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_of_its_own_has_a_code() {
        assert!(names_error(Some(&json!({ "error_code": 40403, "message": "Schema not found" }))));
        assert!(!names_error(Some(&json!({ "error": "Not Found" }))));
        assert!(!names_error(None));
    }
}
