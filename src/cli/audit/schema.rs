//! `twotap audit schema`: what the record's lines keep to, for whoever reads them by program.

use std::process::ExitCode;

use crate::{
    audit::schema,
    cli::{Door, Ended},
    protocol::{Code, Problem},
};

pub(super) fn run(door: &Door) -> Ended {
    let schema = schema::schema();
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|why| Problem::new(Code::Internal, format!("cannot write json: {why}")))?;
    door.ui.result(&schema, &text)?;
    Ok(ExitCode::SUCCESS)
}
