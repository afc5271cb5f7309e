//! The end-to-end tests: one binary, one file a scenario, real servers as peers.

mod arrows;
mod configs;
mod crash;
mod dialogs;
mod docs;
mod explain;
mod full_disk;
mod matrix;
mod peers;
mod program;
mod relay_answers;
mod relay_bytes;
mod relay_notices;
mod relay_routes;
mod relay_site;
mod rfc7208;
mod scanners;
mod secrets;
mod smuggling;
mod sync_before_250;
mod web_browser;
mod web_driver;
mod web_pages;
mod web_site;
