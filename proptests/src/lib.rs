//! Properties of the parts and of whole clusters, compared with naive models.
