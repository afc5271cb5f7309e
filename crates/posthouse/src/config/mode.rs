//! The mode of a chain: said by a table of its own, the chain's first, so that it cannot be taken
//! for an option of a plugin.

use posthouse_hook::Mode;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;

use super::load::StepTable;
use super::{Fault, Faults, Loaded};

const KEY: &str = "mode";
const WAY_OUT: &str = "make [[chain.NAME]] with nothing but mode = \"observe\" the chain's first \
                       table, or leave it out to enforce";

/// Takes the table that says the mode off a chain's tables; without one, the chain enforces.
pub(super) fn take(loaded: &Loaded, steps: &mut Vec<StepTable<'_>>) -> Result<Mode, Faults> {
    if let Some(late) = steps.iter().skip(1).find_map(said_at) {
        let fault = loaded.fault(Some(late), "the mode is not the chain's first table");
        return Err(fault.with_way_out(WAY_OUT).into());
    }
    let Some(at) = steps.first().and_then(said_at) else {
        return Ok(Mode::Enforce);
    };
    let table = steps.remove(0).table.into_inner();
    if table.len() > 1 {
        let fault = loaded.fault(Some(at), "the mode stands beside other keys");
        return Err(fault.with_way_out(WAY_OUT).into());
    }
    read(loaded, table)
}

/// Where a table says a mode.
fn said_at(step: &StepTable<'_>) -> Option<std::ops::Range<usize>> {
    let mut keys = step.table.get_ref().keys();
    let key = keys.find(|key| {
        let key: &str = key.get_ref();
        key == KEY
    });
    key.map(toml::Spanned::span)
}

fn read(loaded: &Loaded, table: toml::de::DeTable<'_>) -> Result<Mode, Faults> {
    let unknown = |span, problem: &str| -> Fault { loaded.fault(span, problem) };
    let mut modes = table.into_iter().map(|(_, value)| {
        Mode::deserialize(value.into_deserializer())
            .map_err(|error: toml::de::Error| unknown(error.span(), error.message()))
    });
    let mode = modes.next().unwrap_or(Ok(Mode::Enforce));
    mode.map_err(|fault| fault.with_way_out(WAY_OUT).into())
}
