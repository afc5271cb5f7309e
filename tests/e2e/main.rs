//! The end-to-end tests: one binary, one file a scenario, real servers as peers.

mod peers;
mod rfc7208;
mod scanners;
mod web_browser;
mod web_driver;
mod web_pages;
mod web_site;
