//! How a result is shown: a table on the terminal, JSON for machines, a page for people.

mod charts;
pub mod curves;
mod heat;
pub mod html;
pub mod json;
pub mod table;
