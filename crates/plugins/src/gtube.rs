use std::sync::Arc;

use posthouse_hook::Plugin;

use crate::options::{BuildError, Options};
use crate::surroundings::Surroundings;

pub(crate) fn build(
    _name: &str,
    _options: Options<'_>,
    _parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    unimplemented!()
}
