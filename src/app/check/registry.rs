//! The schema registry, and the schemas of ours that have to stand in it.

use super::Finding;
use crate::adapters::registry::AskError;
use crate::app::schemas;
use crate::config::Config;

/// Nothing where there is none.
pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let Some(of) = &config.schema_registry else { return Vec::new() };
    let part = format!("schema registry {}", of.url);
    let wrong = |error: &AskError| Finding::wrong(&part, error, schemas::remedy(error));
    let registry = match schemas::registry(config) {
        Ok(Some(registry)) => registry,
        Ok(None) => return Vec::new(),
        Err(error) => {
            return vec![Finding::bad_key(part, error, "Correct the section [schema_registry].")];
        }
    };
    if let Err(error) = registry.probe().await {
        return vec![wrong(&error)];
    }
    let mut findings = Vec::new();
    let ours = schemas::ours(config);
    for ours in &ours {
        match ours.id(&registry).await {
            Ok(Some(_)) => {}
            Ok(None) if of.auto_register => {}
            Ok(None) => {
                let remedy = "Register it, or set schema_registry.auto_register = true.";
                findings.push(Finding::wrong(&part, ours.missing(), remedy));
            }
            Err(error) => {
                findings.push(wrong(&error));
                break;
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::fine(part, format!("answers; {} of our subjects", ours.len())));
    }
    findings
}
