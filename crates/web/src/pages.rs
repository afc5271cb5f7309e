//! The pages as a whole: what they share, the router, and the pages that are the same for all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use hyper::header;
use posthouse_hook::{Clock, Id, Language, NetworkList, Rows, Timestamp};
use posthouse_store::{Item, Proven, Store};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::fault::{Answer, Fault};
use crate::preview::{self, Reading};
use crate::rules::Rules;
use crate::seen::Seen;
use crate::templates::{TemplateError, Templates};
use crate::url::SiteUrl;
use crate::visit::Visit;
use crate::{confirm, dress, home, letters, manage, message, recipient, samples, sender};

/// Everything that a handler needs.
pub struct Pages {
    pub(crate) store: Store,
    pub(crate) rules: Rules,
    pub(crate) site: Site,
    /// Tells whether a redirect would lead to a filtered address.
    pub(crate) rows: Arc<dyn Rows>,
    pub(crate) trusted: NetworkList,
    /// Within which a request is read and answered.
    pub(crate) time_limit: Duration,
    clock: Arc<dyn Clock>,
    templates: Templates,
    preview_octets: u64,
    request_octets: usize,
    seen: Seen,
    /// Bounds how many may ask for their links at one time.
    pub(crate) asking: Arc<Semaphore>,
}

/// What every template knows.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Site {
    /// The host of the pages, as people know it.
    pub(crate) host: String,
    /// How people reach the operator.
    pub(crate) contact: Option<String>,
    #[serde(skip)]
    pub(crate) url: SiteUrl,
}

impl Pages {
    /// The pages over a store. `templates` is the operator's directory, in which `web/NAME` replaces
    /// the built-in page of that name. Fails if a template is broken: every page is rendered once,
    /// so that no visitor is the first to find out.
    pub fn new(
        config: &Config,
        rules: Rules,
        templates: Option<&Path>,
        store: Store,
        clock: Arc<dyn Clock>,
        rows: Arc<dyn Rows>,
    ) -> Result<Self, TemplateError> {
        let (site, templates) = load(config, templates)?;
        Ok(Self {
            store,
            rules,
            site,
            rows,
            trusted: config.trusted_proxies.clone(),
            time_limit: config.limits.request_timeout,
            clock,
            templates,
            preview_octets: config.limits.preview_octets,
            request_octets: config.limits.request_octets,
            seen: Seen::default(),
            asking: Arc::new(Semaphore::new(home::AT_ONCE)),
        })
    }

    /// Whether [`Pages::new`] would find every template in order; needs no store.
    pub fn check(config: &Config, templates: Option<&Path>) -> Result<(), TemplateError> {
        load(config, templates).map(drop)
    }

    /// The moment that is now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Renders one page in a language.
    pub(crate) fn page(&self, template: &str, language: Language, view: &impl Serialize) -> Answer {
        let page = self
            .templates
            .render(template, language, &self.site, view)?;
        Ok((spoken(language), Html(page)).into_response())
    }

    /// The page of a fault; in plain words if even that template fails.
    pub(crate) fn fault_page(&self, fault: Fault, language: Language) -> Bytes {
        #[derive(Serialize)]
        struct View {
            fault: Fault,
        }
        let view = View { fault };
        let page = self
            .templates
            .render("fault.html", language, &self.site, &view);
        page.map_or_else(|_| Bytes::from_static(b"This did not work."), Bytes::from)
    }

    /// What the visitor's link leads to, if it is genuine.
    pub(crate) async fn prove(&self, visit: &Visit) -> Result<Proven, Fault> {
        let proven = self.store.prove(&visit.claim).await?;
        proven.ok_or(Fault::NotFound)
    }

    /// Writes a look into the audit: the one thing that a GET may do. A failure is no reason to
    /// keep the page back.
    pub(crate) async fn looked(&self, visit: &Visit, subject: Id) {
        let page = (visit.claim.kind, subject);
        if !visit.looks || !self.seen.is_news(page, self.now()) {
            return;
        }
        if let Err(error) = self.store.viewed(subject, visit.actor()).await {
            tracing::warn!(%error, %subject, "a look at a page is not in the audit");
        }
    }

    /// The form token of the visitor's link.
    pub(crate) fn form_token(&self, visit: &Visit) -> String {
        self.store.link_key().form_token(&visit.claim)
    }

    /// A message as text, while its bytes are kept.
    pub(crate) async fn reading(&self, item: &Item) -> Result<Option<Reading>, Fault> {
        let Some(content) = self.store.content(item.id).await? else {
            return Ok(None);
        };
        let head = content.head(self.preview_octets).await?;
        Ok(Some(preview::read(&head, content.len())))
    }

    /// Every page behind its path, dressed.
    pub(crate) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/", get(home::show).post(home::ask))
            .route("/robots.txt", get("User-agent: *\nDisallow: /\n"))
            .route("/style.css", get(style))
            .route("/icon.svg", get(icon))
            .route("/i/{token}", get(sender::show).post(sender::act))
            .route("/a/{token}", get(recipient::show).post(recipient::act))
            .route("/a/{token}/m/{id}", get(message::show).post(message::act))
            .route("/a/{token}/m/{id}/message.eml", get(message::download))
            .route("/s/{token}", get(letters::show).post(letters::stop))
            .route("/c/{token}", get(confirm::show).post(confirm::act))
            .route("/m/{token}", get(manage::show).post(manage::act))
            .route("/m/{token}/m/{id}", get(sender::show).post(sender::act))
            .fallback(|| async { Fault::NotFound })
            .method_not_allowed_fallback(|| async { Fault::Method })
            .layer(DefaultBodyLimit::max(self.request_octets))
            .layer(axum::middleware::from_fn_with_state(
                Arc::clone(&self),
                dress::dress,
            ))
            .with_state(self)
    }
}

/// Loads the templates and renders every page once.
fn load(config: &Config, dir: Option<&Path>) -> Result<(Site, Templates), TemplateError> {
    let site = Site {
        host: config.url.host().to_owned(),
        contact: config.contact.clone(),
        url: config.url.clone(),
    };
    let templates = Templates::load(dir)?;
    samples::render_all(&templates, &site)?;
    Ok((site, templates))
}

/// Sends the browser on with a GET, so that a reload does not post again.
pub(crate) fn see_other(path: &str) -> Response {
    Redirect::to(path).into_response()
}

/// The headers that tell of a page's language, and that the browser's wish decides.
pub(crate) fn spoken(language: Language) -> [(header::HeaderName, &'static str); 2] {
    [
        (header::CONTENT_LANGUAGE, language.name()),
        (header::VARY, "Accept-Language"),
    ]
}

async fn style(State(pages): State<Arc<Pages>>) -> Response {
    let style = pages.templates.file("style.css");
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], style).into_response()
}

async fn icon(State(pages): State<Arc<Pages>>) -> Response {
    let icon = pages.templates.file("icon.svg");
    ([(header::CONTENT_TYPE, "image/svg+xml")], icon).into_response()
}
