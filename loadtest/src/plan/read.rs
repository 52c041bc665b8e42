//! Reading a plan: from a file or by the name of a built-in one, with single values set from outside.

use std::path::Path;

use serde_json::Value;

use super::{BUILTIN_PLANS, Plan};

/// Why there is no plan to run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("cannot read the plan {path}: {error}; the built-in plans are {}", builtin_names())]
    Unreadable {
        /// What was asked for.
        path: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Not JSON, or not of a plan's form.
    #[error("the plan {path} is not valid: {error}")]
    Malformed {
        /// What was asked for.
        path: String,
        /// What is wrong, and where.
        error: serde_json::Error,
    },
    /// A value out of its bounds.
    #[error("{field} must be {allowed}")]
    Value {
        /// Path of the field.
        field: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A `key=value` that leads nowhere.
    #[error("cannot set {0:?}: write key=value, where key is a path like origin.up_mbit or groups.0.count")]
    Set(String),
}

fn builtin_names() -> String {
    BUILTIN_PLANS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Reads the plan at a path, or the built-in plan of that name, and applies `key=value` settings to it.
///
/// # Errors
/// [`PlanError`] says what is wrong and where.
pub fn read_plan(name: &str, settings: &[String]) -> Result<Plan, PlanError> {
    let builtin =
        BUILTIN_PLANS.iter().find(|(builtin, _)| *builtin == name).filter(|_| !Path::new(name).exists());
    let text = match builtin {
        Some((_, text)) => (*text).to_owned(),
        None => std::fs::read_to_string(name)
            .map_err(|error| PlanError::Unreadable { path: name.to_owned(), error })?,
    };
    parse(name, &text, settings)
}

fn parse(name: &str, text: &str, settings: &[String]) -> Result<Plan, PlanError> {
    let malformed = |error| PlanError::Malformed { path: name.to_owned(), error };
    let mut value: Value = serde_json::from_str(text).map_err(malformed)?;
    for setting in settings {
        set(&mut value, setting).ok_or_else(|| PlanError::Set(setting.clone()))?;
    }
    let plan: Plan = serde_json::from_value(value).map_err(malformed)?;
    plan.check()?;
    Ok(plan)
}

/// Sets one field; the last name of the path may be new, since absent fields have defaults.
fn set(plan: &mut Value, setting: &str) -> Option<()> {
    let (key, text) = setting.split_once('=')?;
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let (parents, last) = key.rsplit_once('.').map_or((None, key), |(parents, last)| (Some(parents), last));
    let parent = parents.iter().flat_map(|path| path.split('.')).try_fold(plan, |at, name| match at {
        Value::Array(items) => items.get_mut(name.parse::<usize>().ok()?),
        other => other.get_mut(name),
    })?;
    parent.as_object_mut()?.insert(last.to_owned(), value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_plan_is_valid_and_named_after_its_file() {
        for (name, text) in BUILTIN_PLANS {
            let plan = parse(name, text, &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(plan.name, *name);
        }
    }

    #[test]
    fn settings() {
        let check = |setting: &str, expected: Result<f64, &str>| {
            let found = read_plan("flash-offload", &[setting.to_owned()]).map(|plan| plan.groups[0].up_mbit);
            match expected {
                Ok(up_mbit) => assert_eq!(found.ok(), Some(up_mbit), "{setting}"),
                Err(part) => {
                    let error = found.expect_err(setting).to_string();
                    assert!(error.contains(part), "{setting}: {error}");
                }
            }
        };
        check("groups.0.up_mbit=7.5", Ok(7.5));
        check("loss_permille=5", Ok(20.0));
        check("groups.0.up_mbit=0", Err("groups.0.up_mbit must be"));
        check("groups.0.upload=1", Err("unknown field `upload`"));
        check("groups.9.up_mbit=1", Err("cannot set"));
        check("groups.0.up_mbit", Err("cannot set"));
        check("goal=fast", Err("unknown variant `fast`"));
        check("groups.0.count=20001", Err("1 to 20000 nodes"));
        check("content={\"kind\":\"equal\",\"chunks\":500000,\"chunk_bytes\":1}", Ok(20.0));
        check("content={\"kind\":\"equal\",\"chunks\":524289,\"chunk_bytes\":1}", Err("content.chunks"));
        check("content={\"kind\":\"listed\",\"chunk_bytes\":[0]}", Err("sizes of 1"));
        check("quantum_bytes=1023", Err("quantum_bytes"));
        check("links=33", Err("links must be 1 to 32"));
    }

    #[test]
    fn deliveries_are_bounded() {
        let settings =
            ["groups.0.count=200", "content={\"kind\":\"equal\",\"chunks\":250001,\"chunk_bytes\":1}"];
        let error = read_plan("flash-offload", &settings.map(str::to_owned)).expect_err("too many");
        assert!(error.to_string().contains("50 million"), "{error}");
    }

    #[test]
    fn a_missing_file_names_the_builtin_plans() {
        let error = read_plan("no-such-plan", &[]).expect_err("missing").to_string();
        assert!(error.contains("flash-offload"), "{error}");
    }
}
