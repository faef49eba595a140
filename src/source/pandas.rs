//! Columns in which pandas stores its index: they label rows and measure nothing.

use std::collections::HashSet;

use arrow::datatypes::Schema;
use serde::Deserialize;
use serde_json::Value;

/// Key in the schema's metadata under which pandas, through pyarrow or fastparquet, describes its
/// frame.
const KEY: &str = "pandas";
/// Prefix and suffix, around the level number, of the column name for an unnamed index level.
const LEVEL: (&str, &str) = ("__index_level_", "__");

/// The part of the description that is used.
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    index_columns: Vec<Value>,
}

/// Root columns that hold an index: those named in the metadata, and those of an unnamed index if
/// another program has dropped the metadata.
pub fn indexes(schema: &Schema) -> HashSet<String> {
    let names = schema.fields().iter().map(|field| field.name());
    let mut found: HashSet<String> = names.filter(|name| is_level(name)).cloned().collect();
    let described = schema.metadata().get(KEY);
    // What does not say it in this way says nothing: a frame without an index has no such column.
    let frame = described.and_then(|text| serde_json::from_str::<Frame>(text).ok());
    for column in frame.into_iter().flat_map(|frame| frame.index_columns) {
        match column {
            Value::String(name) => {
                found.insert(name);
            }
            // A range is stored as its description and has no column; others name theirs.
            Value::Object(level) => {
                let name = level.get("field_name").and_then(Value::as_str);
                found.extend(name.map(str::to_owned));
            }
            _ => {}
        }
    }
    found
}

fn is_level(name: &str) -> bool {
    let number = name
        .strip_prefix(LEVEL.0)
        .and_then(|rest| rest.strip_suffix(LEVEL.1));
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn found(names: &[&str], metadata: &str) -> Vec<String> {
        let field = |name: &&str| Field::new(*name, DataType::Int64, true);
        let fields: Vec<Field> = names.iter().map(field).collect();
        let metadata = HashMap::from([(KEY.to_owned(), metadata.to_owned())]);
        let schema = Schema::new_with_metadata(fields, metadata);
        let mut found: Vec<String> = indexes(&schema).into_iter().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn what_pandas_writes_is_understood_and_what_is_no_description_harms_nothing() {
        // As pandas 2 with pyarrow, fastparquet and pandas before 0.23 write it.
        let named = r#"{"index_columns": ["day", "__index_level_1__"], "columns": []}"#;
        assert_eq!(found(&["a"], named), ["__index_level_1__", "day"]);
        let range = r#"{"index_columns": [{"kind": "range", "name": "a", "start": 0}]}"#;
        assert!(found(&["a"], range).is_empty());
        for odd in [
            "",
            "{",
            "[]",
            r#"{"index_columns": 3}"#,
            r#"{"columns": 1}"#,
        ] {
            assert!(found(&["a"], odd).is_empty(), "{odd}");
        }
        let names = ["__index_level_0__", "__index_level___", "__index_level_x__"];
        assert_eq!(found(&names, "{}"), ["__index_level_0__"]);
    }
}
