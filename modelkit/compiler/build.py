"""Building a model: a recipe in, a manifest in the store out."""

from collections.abc import Callable
from dataclasses import replace

from modelkit.compiler.architectures import Defaults, defaults_of
from modelkit.compiler.layers import Layers
from modelkit.compiler.recipe import Recipe
from modelkit.compiler.weights import Importer, Weights
from modelkit.digest import Digest
from modelkit.errors import ManifestError, ModelNotFound, TemplateError, UsageError
from modelkit.manifest import Descriptor, Manifest, MediaType, ModelConfig
from modelkit.model.contents import read_parameters
from modelkit.model.traits import file_type, parameter_size
from modelkit.names import ModelName
from modelkit.progress import Progress, Report, silent
from modelkit.quantize import UNQUANTIZED, parse_quantization, refuse_imatrix_types
from modelkit.quantize.child import require_engine
from modelkit.settings import flag
from modelkit.store import Store

_GGUF_LAYERS = (MediaType.MODEL, MediaType.ADAPTER, MediaType.PROJECTOR)

Pull = Callable[[ModelName], None]


def build(
    recipe: Recipe,
    name: ModelName,
    store: Store,
    *,
    report: Report = silent,
    pull: Pull | None = None,
) -> Manifest:
    """Build `recipe`, make `name` that model, and return its manifest.

    The same recipe gives the same manifest bytes anywhere and at any time. `pull` is called for a
    base model that the store does not have. On any failure, an exception from `report` included,
    the store is as before. Raises the ModelkitError of the step that failed.
    """
    quantization = _checked_quantization(recipe)
    _check_template(recipe.template)
    replaced: set[Digest] = set()
    layers = Layers(store)
    try:
        with store.lease():
            manifest = _Build(recipe, layers, quantization, report, pull).run()
            if store.exists(name):
                replaced = _digests(store, name)
            report(Progress("writing manifest"))
            store.write_manifest(name, manifest)
    except BaseException:
        store.discard(layers.created)
        raise
    if not flag("NOPRUNE"):
        store.discard(replaced)
    report(Progress("success"))
    return manifest


def _digests(store: Store, name: ModelName) -> set[Digest]:
    """The blobs of the model that is about to be replaced; none when its manifest is damaged."""
    try:
        return {descriptor.digest for descriptor in store.manifest(name).descriptors()}
    except ManifestError:
        return set()


def _checked_quantization(recipe: Recipe) -> str | None:
    """The canonical type, refused now if it cannot work: a conversion may take an hour."""
    if recipe.quantize is None:
        return None
    name = parse_quantization(recipe.quantize)
    refuse_imatrix_types(name)
    if name not in UNQUANTIZED:
        require_engine()
    return name


def _check_template(text: str | None) -> None:
    """Raise TemplateError for a template that could never write a prompt."""
    if not text:
        return
    from modelkit.templates.prompt import gos_words, prompt_template

    try:
        with gos_words():
            prompt_template(text)
    except TemplateError as error:
        error.message = f"template error: {error.message}"
        raise


class _Build:
    """One build, from the weights to the manifest; a step a method, in the manifest's order."""

    def __init__(
        self,
        recipe: Recipe,
        layers: Layers,
        quantization: str | None,
        report: Report,
        pull: Pull | None,
    ) -> None:
        self.recipe = recipe
        self.layers = layers
        self.store = layers.store
        self.importer = Importer(layers, quantization, report)
        self.report = report
        self.pull = pull
        self.config = ModelConfig(model_format="")
        self.weights: list[Weights] = []

    def run(self) -> Manifest:
        """Write all blobs; returns the manifest that refers to them."""
        if self.recipe.base is not None:
            self._inherit(self.recipe.base)
        elif self.recipe.files:
            for weights in self.importer.files(self.recipe.files):
                self._add_weights(weights)
        elif "remote_host" not in self.recipe.config:
            raise UsageError(
                "neither 'from' or 'files' was specified", hint="name a model or files in FROM"
            )
        if self.importer.quantization and self._model() is None:
            raise UsageError("there are no GGUF weights to quantize")
        self._add_adapter()
        self._add_draft()
        self._add_texts()
        self._add_parameters()
        config = self.layers.blob(MediaType.CONFIG, self._config().to_json())
        for status in self.layers.statuses():
            self.report(Progress(status))
        return Manifest.new(config, self.layers.items)

    def _inherit(self, base: str) -> None:
        """Take over the base model's layers and config; its weights may be quantized."""
        name = ModelName.parse(base)
        if not self.store.exists(name):
            if self.pull is None:
                raise ModelNotFound(base)
            self.pull(name)
        name = self.store.resolve(name)
        manifest = self.store.manifest(name)
        if manifest.config is None:
            raise ManifestError(f"{name} is not a model: its manifest has no config")
        self.config = ModelConfig.parse(self.store.read_blob(manifest.config.digest))
        for layer in manifest.layers:
            inherited = Descriptor(
                layer.media_type, layer.digest, layer.size, from_=name.short, name=layer.name
            )
            if layer.media_type in _GGUF_LAYERS:
                self._add_weights(self.importer.stored(inherited))
            else:
                self.layers.items.append(inherited)

    def _add_weights(self, weights: Weights) -> None:
        self.layers.items.append(weights.layer)
        self.weights.append(weights)

    def _add_adapter(self) -> None:
        if not self.recipe.adapters:
            return
        model = self._model()
        if model is None:
            raise UsageError("no base model was found", hint="an ADAPTER needs a model in FROM")
        adapter = self.importer.adapter(self.recipe.adapters, model.header)
        wanted, given = model.header.architecture, adapter.header.architecture
        if wanted != given:
            raise UsageError(
                f"the adapter is for {given} models, this model is {wanted}",
                hint="use the base model that the adapter was trained on",
            )
        self._add_weights(adapter)

    def _add_draft(self) -> None:
        if not self.recipe.drafts:
            return
        draft = self.importer.draft(self.recipe.drafts)
        self.layers.remove(MediaType.DRAFT)
        self.layers.items.append(draft.layer)
        about = {"model_format": "gguf", "architecture": draft.header.architecture}
        self.config = replace(self.config, draft=about)

    def _add_texts(self) -> None:
        """Template and system replace the base's, licences are added to them."""
        if self.recipe.template:
            self.layers.remove(MediaType.TEMPLATE, MediaType.PROMPT)
            self.layers.append_text(MediaType.TEMPLATE, self.recipe.template)
        if self.recipe.system:
            self.layers.remove(MediaType.SYSTEM)
            self.layers.append_text(MediaType.SYSTEM, self.recipe.system)
        for text in self.recipe.licenses:
            self.layers.append_text(MediaType.LICENSE, text)

    def _add_parameters(self) -> None:
        """Parameters merge key by key over the base's; messages replace them as a whole."""
        inherited = [item for item in self.layers.items if item.media_type == MediaType.PARAMS]
        parameters = {**read_parameters(self.store, inherited), **self.recipe.parameters}
        if stop := self._defaults().stop:
            parameters.setdefault("stop", list(stop))
        if parameters:
            self.layers.set_parameters(parameters)
        if self.recipe.messages:
            self.layers.set_messages(self.recipe.messages)

    def _config(self) -> ModelConfig:
        """The base's config, what the weights say, and what the recipe says."""
        recipe, config, defaults = self.recipe, self.config, self._defaults()
        model = self._model()
        if model is not None:
            config = replace(
                config,
                model_format="gguf",
                model_family=model.header.architecture,
                model_families=tuple(item.header.architecture for item in self.weights),
                model_type=parameter_size(model.header.parameter_count),
                file_type=file_type(model.header),
            )
        return replace(
            config,
            renderer=recipe.renderer or config.renderer or defaults.renderer,
            parser=recipe.parser or config.parser or defaults.parser,
            requires=recipe.requires or config.requires,
            **recipe.config,
        )

    def _defaults(self) -> Defaults:
        """What the architecture brings; nothing where renderer and parser are given."""
        recipe, config, model = self.recipe, self.config, self._model()
        given = (recipe.renderer or config.renderer) and (recipe.parser or config.parser)
        return Defaults() if given or model is None else defaults_of(model.header.architecture)

    def _model(self) -> Weights | None:
        """The language model among the weights; a lone projector or adapter stands in for it."""
        models = [item for item in self.weights if item.layer.media_type == MediaType.MODEL]
        return next(iter(models or self.weights), None)
