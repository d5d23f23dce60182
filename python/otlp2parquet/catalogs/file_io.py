"""Files of metadata go the way of the data files: pyiceberg's ``FileIO`` over our own stores.

Knows pyiceberg's interface and stores. Must not know what is in the files. It stands where
pyiceberg's own ways know less of a storage than the settings do: an account's key, an endpoint,
certificates. What pyiceberg keeps of it are texts, so the settings are found by a name.
"""

import io
from collections.abc import Mapping
from threading import Lock
from typing import Final, Self, cast

from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

from otlp2parquet.config import StorageConfig
from otlp2parquet.errors import NameTakenError
from otlp2parquet.storage import location_of, store_at
from otlp2parquet.stores import Store, writing
from otlp2parquet.stores.location import root_of

STORAGE: Final = "otlp2parquet.storage"
"""The property that names the settings."""

_configs: Final[dict[str, StorageConfig]] = {}
_stores: Final[dict[tuple[str, str], Store]] = {}
_lock: Final = Lock()


def properties_for(config: StorageConfig) -> dict[str, str]:
    """What makes pyiceberg reach files by the stores of these settings, in this process."""
    name = location_of(config).url
    with _lock:
        if _configs.get(name) != config:
            _configs[name] = config
            for key in [key for key in _stores if key[0] == name]:
                del _stores[key]
    return {"py-io-impl": f"{__name__}.{StoreFileIO.__name__}", STORAGE: name}


class StoreFileIO(FileIO):
    """pyiceberg makes one for each table that it loads; their stores are shared."""

    def __init__(self, properties: Mapping[str, str]) -> None:
        super().__init__(dict(properties))
        self._name = properties[STORAGE]

    def new_input(self, location: str) -> "StoreInputFile":
        """See ``FileIO``."""
        return StoreInputFile(location, *self._place(location))

    def new_output(self, location: str) -> "StoreOutputFile":
        """See ``FileIO``."""
        return StoreOutputFile(location, *self._place(location))

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """See ``FileIO``."""
        text = location if isinstance(location, str) else location.location
        store, path = self._place(text)
        store.delete(path)

    def _place(self, location: str) -> tuple[Store, str]:
        """The store of a file's bucket, and the path in it."""
        scheme, sign, rest = location.partition("://")
        bucket, _, path = rest.partition("/")
        key = (self._name, f"{scheme}{sign}{bucket}")
        with _lock:
            store = _stores.get(key)
            if store is None:
                store = _stores[key] = store_at(_configs[self._name], root_of(key[1]))
        return store, path


class _StoreFile:
    """What a file that is read and one that is written have alike."""

    _store: Store
    _path: str

    def __len__(self) -> int:
        """Its size."""
        with self._store.open(self._path) as file:
            return file.seek(0, io.SEEK_END)

    def exists(self) -> bool:
        """Whether it is there."""
        try:
            self._store.open(self._path).close()
        except FileNotFoundError:
            return False
        return True


class StoreInputFile(_StoreFile, InputFile):
    """A file that is read."""

    def __init__(self, location: str, store: Store, path: str) -> None:
        super().__init__(location)
        self._store, self._path = store, path

    def open(self, seekable: bool = True) -> InputStream:  # noqa: FBT001, FBT002, ARG002 - pyiceberg's
        """See ``InputFile``."""
        return cast("InputStream", self._store.open(self._path))


class StoreOutputFile(_StoreFile, OutputFile):
    """A file that is written: it is there, whole, when its stream is closed."""

    def __init__(self, location: str, store: Store, path: str) -> None:
        super().__init__(location)
        self._store, self._path = store, path

    def to_input_file(self) -> StoreInputFile:
        """See ``OutputFile``."""
        return StoreInputFile(self.location, self._store, self._path)

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: FBT001, FBT002 - pyiceberg's
        """See ``OutputFile``."""
        if not overwrite and self.exists():
            raise FileExistsError(self.location)
        return _Sink(self._store, self._path, overwrites=overwrite)


class _Sink(io.BytesIO):
    """Metadata is small: it is kept until it is whole."""

    def __init__(self, store: Store, path: str, *, overwrites: bool) -> None:
        super().__init__()
        self._store = store
        self._path = path
        self._overwrites = overwrites

    def close(self) -> None:
        if self.closed:
            return
        fill = writing(self.getvalue())
        super().close()
        try:
            self._store.create(self._path, fill)
        except NameTakenError as error:
            if not self._overwrites:
                raise FileExistsError(self._path) from error
            self._store.delete(self._path)
            self._store.create(self._path, fill)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            super().close()  # it never became whole

    def __del__(self) -> None:
        """What nobody closed is nothing."""
        super().close()
