//! `{"rows": [{"feature": 1.0, …}, …]}` or `{"columns": {"feature": [1.0, …], …}}` → numbers.
//!
//! Values are stored in place as they are read: no tree of the document is built, so that a body
//! full of brackets costs no more memory than one full of numbers. Refused: features other than the
//! model's, texts where numbers should be, lists of different lengths.

use std::cell::RefCell;
use std::fmt;

use axum::http::StatusCode;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::model::Model;
use super::{Extra, Order, Refusal, too_many};
use crate::snapshot::{Cells, Lane, Rows};

/// Most unknown names remembered; a message shows fewer.
const UNKNOWN_MAX: usize = 100;
/// Most columns that are returned: rows whose names are never repeated would otherwise fill the
/// memory with nulls.
const KEPT_MAX: usize = 64;

/// Numbers of a document.
#[derive(Default)]
pub(super) struct Table {
    pub rows: usize,
    /// Row by row, m values each, NaN where missing; or empty, and
    values: Vec<f64>,
    /// a column a feature.
    columns: Vec<Vec<f64>>,
    /// Columns that are returned unchanged.
    pub kept: Vec<Kept>,
}

/// A column that is returned unchanged: its cells as JSON.
pub(super) struct Kept {
    pub name: String,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Kept {
    /// JSON of the cell of a row; null where there is none.
    pub fn cell(&self, row: usize) -> &[u8] {
        let start = row
            .checked_sub(1)
            .map_or(Some(&0), |before| self.ends.get(before));
        let place = start.zip(self.ends.get(row));
        place.map_or(b"null", |(start, end)| &self.text[*start..*end])
    }

    /// Drops the cells from a row on: if a name occurs twice, the last one counts.
    fn cut(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.text.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Extends the column to this many rows, with nulls for missing cells.
    fn fill(&mut self, rows: usize) {
        while self.ends.len() < rows {
            self.text.extend_from_slice(b"null");
            self.ends.push(self.text.len());
        }
    }
}

impl Table {
    /// The `n` rows from `at` on, `m` features each.
    pub fn rows(&self, at: usize, n: usize, m: usize) -> Rows<'_> {
        if self.columns.is_empty() {
            return Rows::row_major(Cells::F64(&self.values[at * m..(at + n) * m]), m);
        }
        let lanes = self.columns.iter().map(|column| Lane {
            cells: Cells::F64(column),
            start: at,
            stride: 1,
        });
        Rows::lanes(lanes.collect(), n)
    }
}

/// The numbers of a document.
pub(super) fn parse(body: &[u8], model: &Model, order: &Order) -> Result<Table, Refusal> {
    let context = Context {
        model,
        extra: order.extra,
        rows_max: usize::try_from(order.rows_max).unwrap_or(usize::MAX),
        refusal: RefCell::new(None),
    };
    let mut from = serde_json::Deserializer::from_slice(body);
    let parsed = Whole(&context).deserialize(&mut from);
    let parsed = parsed.and_then(|table| from.end().map(|()| table));
    parsed.map_err(|error| {
        let known = context.refusal.take();
        known.unwrap_or_else(|| {
            let why = format!("the body is not the expected JSON: {error}");
            Refusal::new(StatusCode::BAD_REQUEST, why)
        })
    })
}

struct Context<'a> {
    model: &'a Model,
    extra: Extra,
    rows_max: usize,
    /// The reason, where it is more than bad JSON.
    refusal: RefCell<Option<Refusal>>,
}

impl Context<'_> {
    fn fail<E: serde::de::Error>(&self, refusal: Refusal) -> E {
        // Stored beside the parser, whose error type carries only text and would lose the status.
        *self.refusal.borrow_mut() = Some(refusal);
        E::custom("refused")
    }

    fn check_rows<E: serde::de::Error>(&self, rows: usize) -> Result<(), E> {
        if rows > self.rows_max {
            return Err(self.fail(too_many(self.rows_max as u64)));
        }
        Ok(())
    }
}

macro_rules! seed {
    ($name:ident -> $value:ty, $how:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.$how(self)
            }
        }
    };
}

/// The whole document.
struct Whole<'a>(&'a Context<'a>);
seed!(Whole -> Table, deserialize_map);

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Table;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `rows` or `columns`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table, A::Error> {
        let mut table = None;
        while let Some(key) = map.next_key::<String>()? {
            let mut new = Table::default();
            match key.as_str() {
                _ if table.is_some() => {
                    return Err(A::Error::custom("one of `rows` and `columns`"));
                }
                "rows" => map.next_value_seed(AllRows(self.0, &mut new))?,
                "columns" => map.next_value_seed(AllColumns(self.0, &mut new))?,
                _ => return Err(A::Error::custom("the only keys are `rows` and `columns`")),
            }
            for kept in &mut new.kept {
                kept.fill(new.rows);
            }
            table = Some(new);
        }
        table.ok_or_else(|| A::Error::custom("neither `rows` nor `columns`"))
    }
}

/// A list of rows.
struct AllRows<'a>(&'a Context<'a>, &'a mut Table);
seed!(AllRows -> (), deserialize_seq);

impl<'de> Visitor<'de> for AllRows<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(OneRow(self.0, self.1))?.is_some() {}
        Ok(())
    }
}

/// A row.
struct OneRow<'a>(&'a Context<'a>, &'a mut Table);
seed!(OneRow -> (), deserialize_map);

impl<'de> Visitor<'de> for OneRow<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of features")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(context, table) = self;
        let (row, m) = (table.rows, context.model.features());
        context.check_rows(row + 1)?;
        let start = row * m;
        // A feature that is not given stays NaN until `refuse` has seen which are missing.
        table.values.resize(start + m, f64::NAN);
        let mut seen = vec![false; m];
        let mut unknown = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(j) = context.model.feature(&name) {
                table.values[start + j] = map.next_value_seed(Number(context, &name, row))?;
                seen[j] = true;
                continue;
            }
            match context.extra {
                Extra::Keep => {
                    let kept = keep(context, &mut table.kept, &name)?;
                    // If a key appears twice in an object, the last one counts, as in other JSON
                    // readers.
                    kept.cut(row);
                    kept.fill(row);
                    map.next_value_seed(Scalar(kept))?;
                }
                Extra::Refuse if unknown.len() < UNKNOWN_MAX => {
                    map.next_value::<IgnoredAny>()?;
                    unknown.push(name);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let fits = context.model.refuse(&seen, &unknown);
        fits.map_err(|refusal| {
            let detail = format!("row {row} (from 0): {}", refusal.detail);
            context.fail(Refusal { detail, ..refusal })
        })?;
        table.rows += 1;
        Ok(())
    }
}

/// The column of this name.
fn keep<'a, E: serde::de::Error>(
    context: &Context<'_>,
    all: &'a mut Vec<Kept>,
    name: &str,
) -> Result<&'a mut Kept, E> {
    let at = all.iter().position(|kept| kept.name == name);
    let at = at.unwrap_or(all.len());
    if at == KEPT_MAX {
        let why = format!("more than {KEPT_MAX} extra columns to hand back");
        return Err(context.fail(Refusal::features(why)));
    }
    if at == all.len() {
        all.push(Kept {
            name: name.to_owned(),
            text: Vec::new(),
            ends: Vec::new(),
        });
    }
    Ok(&mut all[at])
}

/// An object of columns.
struct AllColumns<'a>(&'a Context<'a>, &'a mut Table);
seed!(AllColumns -> (), deserialize_map);

impl<'de> Visitor<'de> for AllColumns<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of columns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(context, table) = self;
        let m = context.model.features();
        table.columns = vec![Vec::new(); m];
        let mut seen = vec![false; m];
        let mut unknown = Vec::new();
        let mut rows = None;
        while let Some(name) = map.next_key::<String>()? {
            let len = if let Some(j) = context.model.feature(&name) {
                table.columns[j].clear();
                map.next_value_seed(Column(context, &name, &mut table.columns[j]))?;
                seen[j] = true;
                table.columns[j].len()
            } else if context.extra == Extra::Keep {
                let kept = keep(context, &mut table.kept, &name)?;
                (kept.text, kept.ends) = (Vec::new(), Vec::new());
                map.next_value_seed(Scalars(context, kept))?;
                kept.ends.len()
            } else {
                map.next_value::<IgnoredAny>()?;
                if context.extra == Extra::Refuse && unknown.len() < UNKNOWN_MAX {
                    unknown.push(name);
                }
                continue;
            };
            if *rows.get_or_insert(len) != len {
                let why =
                    format!("column `{name}` has {len} values, others have a different number");
                return Err(context.fail(Refusal::features(why)));
            }
        }
        let fits = context.model.refuse(&seen, &unknown);
        fits.map_err(|refusal| context.fail(refusal))?;
        table.rows = rows.unwrap_or(0);
        Ok(())
    }
}

/// A column of numbers.
struct Column<'a>(&'a Context<'a>, &'a str, &'a mut Vec<f64>);
seed!(Column -> (), deserialize_seq);

impl<'de> Visitor<'de> for Column<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self(context, name, values) = self;
        while let Some(value) = list.next_element_seed(Number(context, name, values.len()))? {
            values.push(value);
            context.check_rows(values.len())?;
        }
        Ok(())
    }
}

/// A number, true or false, or null, which is NaN.
struct Number<'a>(&'a Context<'a>, &'a str, usize);
seed!(Number -> f64, deserialize_any);

impl Visitor<'_> for Number<'_> {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_bool<E>(self, value: bool) -> Result<f64, E> {
        Ok(f64::from(u8::from(value)))
    }

    fn visit_unit<E>(self) -> Result<f64, E> {
        Ok(f64::NAN)
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<f64, E> {
        let why = format!(
            "row {} (from 0), column `{}`: text where a number is expected",
            self.2, self.1
        );
        Err(self.0.fail(Refusal::features(why)))
    }
}

/// A column that is returned unchanged.
struct Scalars<'a>(&'a Context<'a>, &'a mut Kept);
seed!(Scalars -> (), deserialize_seq);

impl<'de> Visitor<'de> for Scalars<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Scalar(self.1))?.is_some() {
            self.0.check_rows(self.1.ends.len())?;
        }
        Ok(())
    }
}

/// A cell that is returned unchanged.
struct Scalar<'a>(&'a mut Kept);
seed!(Scalar -> (), deserialize_any);

impl Scalar<'_> {
    fn put<E: serde::de::Error>(self, value: &impl serde::Serialize) -> Result<(), E> {
        serde_json::to_writer(&mut self.0.text, value).map_err(E::custom)?;
        self.0.ends.push(self.0.text.len());
        Ok(())
    }
}

impl Visitor<'_> for Scalar<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false or null")
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.put(&value)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.put(&())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.put(&value)
    }
}
